"""Simulated nodes carry the pools' own facts, labels and taints."""

from collections import Counter
from pathlib import Path

import pytest

from rehearsal.cluster.api import Object
from rehearsal.cluster.nodes import ZONE_LABEL, node_objects, reconcile_nodes
from settings import Settings, load_stack_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


def test_each_pool_stands_at_its_maximum_over_its_zones(settings: Settings) -> None:
    nodes = node_objects(settings, "v1.36.3")
    for pool in settings.pools:
        zones = Counter(
            n["metadata"]["labels"][ZONE_LABEL]
            for n in nodes
            if n["metadata"]["name"].rpartition("-")[0] == pool.name
        )
        assert sum(zones.values()) == pool.max
        assert set(zones) == set(settings.zones_of(pool)[: pool.max])
        assert max(zones.values()) - min(zones.values()) <= 1


def test_sizes_labels_and_taints_are_the_pool_s(settings: Settings) -> None:
    by_name = {n["metadata"]["name"]: n for n in node_objects(settings, "v1.36.3")}
    (pool,) = [p for p in settings.gpu_pools if p.name == "a100"]
    node = by_name["a100-0"]
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert node["status"]["allocatable"]["memory"] == f"{pool.instance.allocatable_memory_mib}Mi"
    assert node["spec"]["taints"] == pool.node_taints
    assert pool.node_labels.items() <= node["metadata"]["labels"].items()
    assert "nvidia.com/gpu" not in by_name["platform-0"]["status"]["allocatable"]


class FakeApi:
    """The three calls that reconciling makes, on a dictionary."""

    def __init__(self, nodes: list[Object]) -> None:
        self.nodes = {n["metadata"]["name"]: n for n in nodes}

    def list(self, *_: object, **__: object) -> list[Object]:
        return list(self.nodes.values())

    def create(self, node: Object) -> Object:
        assert node["metadata"]["name"] not in self.nodes
        self.nodes[node["metadata"]["name"]] = node
        return node

    def delete(self, _version: str, _kind: str, name: str) -> None:
        del self.nodes[name]


def test_reconciling_creates_replaces_and_deletes_exactly_what_differs(settings: Settings) -> None:
    wanted = node_objects(settings, "v1.36.3")
    stale = {**wanted[0], "metadata": {**wanted[0]["metadata"], "name": "old-0"}}
    smaller: Object = {**wanted[1], "metadata": {**wanted[1]["metadata"], "annotations": {}}}
    api = FakeApi([stale, smaller, *wanted[2:-1]])
    changed = reconcile_nodes(api, wanted)  # pyright: ignore[reportArgumentType] - a stand-in with the calls that are used
    assert (changed.created, changed.replaced, changed.deleted, changed.unchanged) == (
        2,
        1,
        1,
        len(wanted) - 3,
    )
    assert sorted(api.nodes) == sorted(n["metadata"]["name"] for n in wanted)
    again = reconcile_nodes(api, wanted)  # pyright: ignore[reportArgumentType]
    assert again.unchanged == len(wanted)
