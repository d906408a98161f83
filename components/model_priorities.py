"""Priorities among models.

Owns: one PriorityClass per tier. A core model that finds no GPU takes the place of a best-effort one, never
of another core model. Agents of the nodes stay above both (`system-node-critical`).
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.scheduling.v1 import PriorityClass

from settings.models import Tier

# Above 0, the priority of everything that names none, and far below a billion, where Kubernetes' own
# classes begin.
PRIORITIES: Final[dict[Tier, int]] = {"core": 1_000_000, "best-effort": 1_000}


@dataclass(frozen=True, kw_only=True)
class ModelPrioritiesArgs:
    """`prefix` of the names: the classes are cluster-wide, and two stacks may share a cluster that exists."""

    prefix: str


class ModelPriorities(pulumi.ComponentResource):
    """Makes the classes; `classes` maps a tier to the name of its class, known when it exists."""

    classes: dict[Tier, pulumi.Output[str]]

    def __init__(
        self, name: str, args: ModelPrioritiesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:serving:ModelPriorities", name, {}, opts)
        made: dict[Tier, PriorityClass] = {
            tier: PriorityClass(
                f"{name}-{tier}",
                metadata={
                    "name": f"{args.prefix}-{tier}",
                    "labels": {"app.kubernetes.io/part-of": "vllm-platform"},
                },
                value=value,
                preemption_policy="PreemptLowerPriority" if tier == "core" else "Never",
                description=f"Models of the tier {tier}.",
                opts=pulumi.ResourceOptions(parent=self),
            )
            for tier, value in PRIORITIES.items()
        }
        self.classes = {tier: priority.metadata.name for tier, priority in made.items()}
        self.register_outputs({"classes": dict(self.classes)})
