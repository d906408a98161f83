"""Stacks on EKS of many shapes, all of them good: what a user could write and the settings accept."""

from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from settings import Settings, build
from settings.stack_yaml import load

_PROD: Final = Path(__file__).resolve().parents[2] / "Pulumi.prod.yaml"
_PREFIX: Final = "vllm-platform:"
_REGION: Final = "us-east-1"
_BLOCKS: Final = ("10.0.0.0/16", "10.64.0.0/18", "192.168.0.0/16", "172.16.16.0/20")
MANAGED: Final = {"kind": "managed"}
KARPENTER: Final = {"kind": "karpenter"}


def _sections() -> dict[str, Any]:
    document: Any = load(_PROD.read_text(encoding="utf-8"))
    config: dict[str, Any] = document["config"]
    own = {key.removeprefix(_PREFIX): value for key, value in config.items() if key.startswith(_PREFIX)}
    # Prod's budget is for prod's pools, not for larger ones.
    del own["cost"]
    return own


_SECTIONS: Final = _sections()


@st.composite
def pools(draw: st.DrawFn, zones: list[str]) -> list[dict[str, Any]]:
    """The pools of prod, each provisioned one way or the other, of some size and capacity that holds its models."""
    made: list[dict[str, Any]] = []
    for given in deepcopy(_SECTIONS["pools"]):
        pool: dict[str, Any] = {
            key: value for key, value in given.items() if key not in {"zones", "placement"}
        }
        managed = pool["name"] == "system" or draw(st.booleans())
        pool["provisioner"] = MANAGED if managed else KARPENTER
        # Not fewer than the models need at their most.
        pool["max"] = given["max"] + draw(st.integers(0, 3))
        pool["min"] = pool["max"] if managed else draw(st.integers(0, pool["max"]))
        pool["node_image"] = draw(st.sampled_from(["al2023", "bottlerocket"]))
        # The replicas of the models on the others are to be spread over zones.
        if pool["name"] == "a100" or (pool["kind"] == "cpu" and draw(st.booleans())):
            pool["zones"] = [draw(st.sampled_from(zones))]
        if pool["kind"] == "gpu":
            kinds = ["single-zone", "cluster-group"] if "zones" in pool else ["spread"]
            placement = draw(st.sampled_from([*kinds, None]))
            if placement is None and pool["name"] == "a100":
                placement = kinds[0]
            if placement is not None:
                pool["placement"] = {"kind": placement}
        pool["capacity"] = {"kind": draw(st.sampled_from(_capacities(pool)))}
        if pool["capacity"]["kind"] in {"reserved", "capacity-block"}:
            pool["capacity"]["reservation"] = "cr-0123456789abcdef0"
        made.append(pool)
    return made


def _capacities(pool: dict[str, Any]) -> list[str]:
    """Return how a pool's capacity may be bought; the model on a10-spot asks for Spot, core models must not have it."""
    if pool["name"] == "a10-spot":
        return ["spot"]
    if pool["kind"] == "cpu" or "zones" not in pool:
        return ["on-demand"]
    return ["on-demand", "reserved", "capacity-block"]


@st.composite
def stacks(draw: st.DrawFn) -> Settings:
    """A whole stack."""
    letters = draw(st.lists(st.sampled_from("abcdf"), min_size=2, max_size=3, unique=True))
    zones = [f"{_REGION}{letter}" for letter in letters]
    sections = deepcopy(_SECTIONS)
    endpoint = draw(st.sampled_from([{"kind": "private"}, {"kind": "public", "allow": ["203.0.113.0/24"]}]))
    sections["cluster"] |= {"zones": zones, "endpoint": endpoint}
    sections["cluster"]["network"] = {"cidr": draw(st.sampled_from(_BLOCKS))}
    if draw(st.booleans()):
        sections["environment"] = "dev"
        # There releases begin.
        del sections["promotion"]
        sections["cluster"]["network"]["nat"] = {"kind": draw(st.sampled_from(["single", "per-zone"]))}
    sections["pools"] = draw(pools(zones))
    if draw(st.booleans()):
        sections["edge"] = {"kind": "off"}
    if draw(st.booleans()):
        sections["storage"]["shared"] = {"kind": "off"}
    return build("generated", sections)
