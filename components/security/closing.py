"""Closes a stack before anything of it runs: network policies, and the rules of the mesh where there is one.

A function that wires components.
"""

from collections.abc import Mapping, Sequence

import pulumi

from components.addons.pattern import Addon
from components.security.mesh_rules import MeshRules, MeshRulesArgs
from components.security.network_rules import NetworkRules, NetworkRulesArgs
from components.security.openings import openings
from components.security.parties import prometheus
from settings import Settings


def close(
    settings: Settings,
    addons: Mapping[str, Addon],
    *,
    namespace: pulumi.Input[str],
    on_cluster: pulumi.ResourceOptions,
) -> Sequence[pulumi.Resource]:
    """Return what models wait for, so that none of them is ever open. addons: those that this program installs, by unit."""
    found = openings(settings)
    waited: list[pulumi.Resource] = []
    if settings.security.rules is not None:
        rules = NetworkRulesArgs(namespace=namespace, openings=found)
        waited += NetworkRules("network-rules", rules, on_cluster).closed
    if settings.meshed:
        args = MeshRulesArgs(
            namespace=namespace,
            openings=found,
            after=[addons[unit] for unit in ("istiod",) if unit in addons],
            whole_mesh="istiod" in addons,
            prometheus=prometheus(settings) if "prometheus" in addons else None,
            prometheus_after=[addons[unit] for unit in ("prometheus",) if unit in addons],
        )
        waited += MeshRules("mesh-rules", args, on_cluster).closed
        # Who carries the traffic: a pod that is there before is outside until it comes.
        waited += [addons[unit] for unit in ("ztunnel",) if unit in addons]
    return waited
