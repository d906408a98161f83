"""What holds before any model: the namespace, who goes first where GPUs run short, and who may be on GPU nodes.

A function that wires components.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.gpu_admission import GpuAdmission, GpuAdmissionArgs
from components.model_namespace import ModelNamespace, ModelNamespaceArgs
from components.model_priorities import ModelPriorities, ModelPrioritiesArgs
from settings import Settings
from settings.models import Tier


@dataclass(frozen=True, kw_only=True)
class ClusterRules:
    """namespace: of the models. priorities: names of the priority classes, by tier. Both known once they are there."""

    namespace: pulumi.Output[str]
    priorities: Mapping[Tier, pulumi.Output[str]]


def create_cluster_rules(settings: Settings, on_cluster: pulumi.ResourceOptions) -> ClusterRules:
    """Create them."""
    namespace = ModelNamespace(
        "models",
        ModelNamespaceArgs(name=settings.namespace, pods=settings.security.pods, meshed=settings.meshed),
        on_cluster,
    )
    priorities = ModelPriorities("priority", ModelPrioritiesArgs(prefix=settings.namespace), on_cluster)
    taints = [taint for pool in settings.gpu_pools for taint in pool.node_taints]
    if taints:
        rule = GpuAdmissionArgs(name=f"{settings.namespace}-gpu-nodes", taint=taints[0])
        GpuAdmission("gpu-nodes", rule, on_cluster)
    return ClusterRules(namespace=namespace.name, priorities=priorities.classes)
