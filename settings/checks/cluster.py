"""Cluster, registry and namespace: regions, zones and names that exist and belong together."""

from collections.abc import Iterable, Sequence
from typing import Final

from settings.addon_namespaces import ADDON_NAMESPACES
from settings.checks.naming import listed, repeated
from settings.cluster import EksCluster
from settings.draft import Draft
from settings.facts import region_of, regions
from settings.problems import Problem
from settings.registry import EcrRegistry
from settings.structure import suggest

# Namespaces that Kubernetes or the platform owns: KServe's webhook skips some, and their pods are not models.
TAKEN_NAMESPACES: Final = frozenset(
    {
        "default",
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "karpenter",
        *ADDON_NAMESPACES.values(),
    }
)
EKS_ZONES: Final = 2


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the cluster, the registry and the namespace."""
    problems = [*_cluster(draft), *_registry(draft)]
    if draft.namespace in TAKEN_NAMESPACES:
        problems.append(
            Problem(
                "namespace",
                draft.namespace,
                "belongs to Kubernetes or to the platform",
                "use one of its own, e.g. 'llm-prod'",
            )
        )
    return problems


def zone_problems(zones: Sequence[str], region: str, path: str) -> list[Problem]:
    """Refuse zones that are not the region's, or are named twice. Other clouds' regions and zones are not known."""
    known = regions().get(region)
    problems = repeated(zones, path, "the zone")
    for index, zone in enumerate(zones):
        other = region_of(zone)
        if other == region or (known is None and other is None):
            continue
        reason = (
            f"is a zone of {other}, but the cluster's region is {region}"
            if other
            else f"is no zone of {region}"
        )
        problems.append(
            Problem(f"{path}[{index}]", zone, reason, f"use zones of {region}: {listed(known or ())}")
        )
    return problems


def _cluster(draft: Draft) -> Iterable[Problem]:
    cluster = draft.cluster
    if cluster is None:
        return
    if cluster.region not in regions() and isinstance(cluster, EksCluster):
        yield _unknown_region("cluster.region", cluster.region)
    yield from zone_problems(cluster.zones, cluster.region, "cluster.zones")
    if isinstance(cluster, EksCluster) and len(set(cluster.zones)) < EKS_ZONES:
        reason = "EKS needs subnets in at least two zones"
        yield Problem(
            "cluster.zones",
            list(cluster.zones),
            reason,
            f"add a zone of {cluster.region}: {listed(regions().get(cluster.region, ()))}",
        )


def _registry(draft: Draft) -> Iterable[Problem]:
    if isinstance(draft.registry, EcrRegistry) and draft.registry.region not in regions():
        yield _unknown_region("registry.region", draft.registry.region)


def _unknown_region(path: str, region: str) -> Problem:
    return Problem(
        path, region, "no known AWS region", f"{suggest(region, regions())}use one of: {listed(regions())}"
    )
