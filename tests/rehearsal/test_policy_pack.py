"""The policy pack in the real engine: which rule stops a preview or an update, with which words, and what is let through.

Kubernetes objects go through the real provider. Those of AWS through a stand-in that takes whatever it is asked for: to the engine,
and so to the pack, they are resources like others.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import yaml
from pulumi import automation as auto
from rich.console import Console

from policies.rules.catalogue import RULES
from policies.rules.config import config_of
from policies.rules.model import Config, Resource
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.rehearse import open_stack, plan
from rehearsal.update import Stack
from rehearsal.workspace import SALT, pulumi_environment
from tests.policies.stacks import (
    RESOURCE_RULES,
    STACK_RULES,
    Said,
    about_resources,
    about_stack,
    case_of,
    each_broken,
    together,
)
from tests.rehearsal import stand_in_provider
from tests.rehearsal.conftest import REPOSITORY, Checkout, tools

pytestmark = pytest.mark.rehearsal

PROGRAM: Final = Path(__file__).parent / "programs" / "policies.py"
NAME: Final = "policies"
SECTIONS: Final[dict[str, Any]] = {
    "environment": "prod",
    "pools": [{"name": "a10"}],
    "policies": {"registries": ["registry.example.com"]},
}
MESH: Final = "models-are-in-the-mesh"
# A model in a namespace outside of the mesh needs no policy of the mesh's: the one rule hides the other.
GROUPS: Final = [[rule.name for rule in STACK_RULES if rule.name != MESH], [MESH]]
SPREAD: Final = "core-models-spread-over-zones"
ALONE: Final = "qwen3-235b-a22b"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the engine with the pack. said: by level. error: what the engine said at the end, empty where it passed."""

    said: dict[str, list[Said]]
    error: str

    @property
    def stopped_by(self) -> list[Said]:
        return self.said.get("mandatory", [])


def _run(stack: Stack, what: str) -> Run:
    """Run `preview` or `up`, as `pulumi WHAT --policy-pack policies` does."""
    said: dict[str, list[Said]] = {}

    def hear(event: auto.events.EngineEvent) -> None:
        if found := event.policy_event:
            # The engine marks colours, and the SDK puts the rule's description before the message.
            message = re.sub(r"<\{%.*?%\}>", "", found.message).strip().splitlines()[-1]
            name = (found.resource_urn or "").rpartition("::")[2]
            said.setdefault(found.enforcement_level, []).append((found.policy_name, name, message))

    operation: Any = getattr(stack.stack, what)
    error = ""
    try:
        operation(policy_packs=["policies"], on_event=hear, color="never", suppress_progress=True)
    except auto.CommandError as failed:
        error = str(failed)
    return Run(said={level: sorted(each) for level, each in said.items()}, error=error)


@dataclass(frozen=True, kw_only=True)
class World:
    """A stack of the program that asks for what a test gives it."""

    layout: ClusterLayout
    folder: Path

    def stack(self, resources: Sequence[Resource], **sections: object) -> Stack:
        """Return the stack, which will ask for some resources. `sections`: what its file says, as in a stack file of ours."""
        listed = [{"type": each.type, "name": each.name, "inputs": dict(each.props)} for each in resources]
        given = self.folder / "resources.json"
        given.write_text(json.dumps(listed), encoding="utf-8")
        values: dict[str, object] = {
            "resources": str(given),
            "rendered": str(self.folder / "rendered"),
            "charts": str(self.folder / "charts"),
            "kubeconfig": str(self.layout.kubeconfig),
        }
        config = {f"{NAME}:{key}": value for key, value in values.items()}
        config |= {f"vllm-platform:{key}": value for key, value in (SECTIONS | sections).items()}
        content = {"encryptionsalt": SALT, "config": config}
        (self.folder / f"Pulumi.{NAME}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        environment = pulumi_environment(self.layout, tools())
        return Stack(
            NAME,
            self.folder,
            self.layout.pulumi_state,
            environment=environment | {"PATH": f"{self.folder}:{environment['PATH']}"},
            pulumi=tools().bin("pulumi"),
            console=Console(quiet=True),
        )


@pytest.fixture(scope="module")
def world(local: Checkout) -> Iterator[World]:
    layout = local.layout("local")
    folder = layout.root / f"program-{NAME}"
    folder.mkdir()
    (folder / "__main__.py").symlink_to(PROGRAM)
    (folder / "policies").symlink_to(REPOSITORY / "policies")
    (folder / "Pulumi.yaml").write_text(f"name: {NAME}\nruntime: python\n", encoding="utf-8")
    stand_in_provider.install("aws", folder)
    charts = {
        each.props["chart"] for each in (*each_broken(), *together(GROUPS[0]), *together()) if each.is_chart
    }
    for chart in charts:
        place = folder / "charts" / chart
        place.mkdir(parents=True)
        content = {"apiVersion": "v2", "name": chart, "version": "1.0.0"}
        (place / "Chart.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    yield World(layout=layout, folder=folder)
    assert _processes_of_packs(layout) == []


def _processes_of_packs(layout: ClusterLayout) -> list[int]:
    """Return the processes of packs that engines of this cluster have started."""
    found: list[int] = []
    for process in psutil.process_iter(["cmdline"]):
        if "pulumi.policy" in (process.info["cmdline"] or []):
            try:
                ours = process.environ().get("TMPDIR") == str(layout.tmp)
            except psutil.Error:
                continue
            found += [process.pid] if ours else []
    return found


def _config(**sections: object) -> Config:
    """Return what the pack reads of the stack's file."""
    given = SECTIONS | sections
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return config_of({f"vllm-platform:{key}": value for key, value in texts.items()}, RULES)


def _made(stack: Stack) -> set[str]:
    """Return names of what is in the stack's state."""
    deployment: Any = stack.stack.export_stack().deployment
    return {each["urn"].rpartition("::")[2] for each in deployment.get("resources", [])}


def test_one_preview_says_of_every_rule_about_a_resource_where_it_is_broken(world: World) -> None:
    resources = each_broken()
    run = _run(world.stack(resources), "preview")
    assert "preview failed" in run.error
    about = {rule.name for rule in RESOURCE_RULES}
    said = [each for each in run.stopped_by if each[0] in about]
    assert said == about_resources(resources, _config())
    for rule in RESOURCE_RULES:
        heard = [text.replace(f"{rule.name}-", "") for name, _, text in said if name == rule.name]
        assert any(case_of(rule.name).says in text for text in heard), rule.name


def test_an_update_does_not_make_what_breaks_a_rule_and_passes_without_it(world: World) -> None:
    kept = together()
    (queue,) = [each for each in each_broken() if each.type == "aws:sqs/queue:Queue"]
    stack = world.stack([*kept, queue])
    run = _run(stack, "up")
    assert run.error
    assert {(rule, name) for rule, name, _ in run.stopped_by} == {("what-is-kept-is-encrypted", queue.name)}
    assert queue.name not in _made(stack)
    run = _run(world.stack(kept), "up")
    assert (run.said, run.error) == ({}, "")
    assert {each.name for each in kept} <= _made(stack)


@pytest.mark.parametrize("broken", GROUPS, ids=["all-others", "mesh"])
def test_an_update_ends_with_what_every_rule_about_a_stack_says(world: World, broken: list[str]) -> None:
    resources = together(broken)
    run = _run(world.stack(resources), "up")
    assert run.error
    # What is said of the stack as a whole the engine says of the stack's own resource.
    found = about_stack(resources, _config())
    assert {rule for rule, _, _ in found} == set(broken)
    assert run.stopped_by == sorted((rule, name or f"{NAME}-{NAME}", text) for rule, name, text in found)


def test_the_rehearsed_stack_passes_by_preview_and_by_up(local: Checkout) -> None:
    stack = open_stack(plan("local", local.root), local.layout("local"), tools(), Console(quiet=True))
    for what in ("preview", "up"):
        run = _run(stack, what)
        assert run.error == ""
        # The stack is one of `dev`: what does not hold there is said, and stops nothing.
        assert set(run.said) == {"advisory"}
        assert (SPREAD, f"{ALONE}-inference") in {(rule, name) for rule, name, _ in run.said["advisory"]}


def test_a_stack_s_own_level_stops_it_and_its_exemption_lets_it_through(local: Checkout) -> None:
    section: dict[str, Any] = {"levels": [{"rule": SPREAD, "level": "mandatory"}]}
    layout = local.layout("local")

    def preview() -> Run:
        local.change("local", "policies", section)
        return _run(open_stack(plan("local", local.root), layout, tools(), Console(quiet=True)), "preview")

    run = preview()
    assert run.error
    assert [(rule, name) for rule, name, _ in run.stopped_by] == [(SPREAD, f"{ALONE}-inference")]
    section["exempt"] = [{"rule": SPREAD, "resource": ALONE, "reason": "One node, which is in one zone."}]
    run = preview()
    assert run.error == ""
    assert SPREAD not in {rule for each in run.said.values() for rule, _, _ in each}
