"""A pool that goes from one provisioner to the other: a reviewer sees that pool's resources change and nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ops.program_graph import ProgramGraph, program_graph
from settings import stack_yaml

pytestmark = pytest.mark.graph

POOL: Final = "a10"
NODES: Final = 24
_LINKED: Final = ("__main__.py", "Pulumi.yaml", "components", "settings", "ops", "rehearsal")


def _graph(root: Path, folder: Path, provisioner: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the resources of prod by URN, with the pool at one size and provisioned one way."""
    folder.mkdir()
    for name in _LINKED:
        (folder / name).symlink_to(root / name)
    document: Any = stack_yaml.load((root / "Pulumi.prod.yaml").read_text(encoding="utf-8"))
    (pool,) = [p for p in document["config"]["vllm-platform:pools"] if p["name"] == POOL]
    pool |= {"min": NODES, "max": NODES, "provisioner": {"kind": provisioner}}
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    graph: ProgramGraph = program_graph("prod", folder)
    return {node["urn"]: node for node in graph.resources}


def test_exactly_the_pool_s_resources_change(root: Path, tmp_path: Path) -> None:
    managed = _graph(root, tmp_path / "managed", "managed")
    elastic = _graph(root, tmp_path / "elastic", "karpenter")
    gone, new = managed.keys() - elastic.keys(), elastic.keys() - managed.keys()
    assert gone
    assert new
    assert [urn for urn in gone | new if f"::pool-{POOL}" not in urn] == []
    kinds = {managed[urn]["type"] for urn in gone if managed[urn]["custom"]}
    assert kinds == {"aws:eks/nodeGroup:NodeGroup", "aws:ec2/launchTemplate:LaunchTemplate"}
    assert {elastic[urn]["inputs"]["kind"] for urn in new if elastic[urn]["custom"]} == {
        "EC2NodeClass",
        "NodePool",
    }
    common = managed.keys() & elastic.keys()
    assert [urn for urn in common if managed[urn]["inputs"] != elastic[urn]["inputs"]] == []
