"""A cluster that the program creates: its version, network, endpoint, access, and the nodes that it starts on."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Final

from settings.checks.naming import at, listed, repeated
from settings.cluster import EksCluster
from settings.draft import Draft
from settings.facts import eks_versions
from settings.network import PRIVATE_RANGES, Network, PublicEndpoint, SingleNat
from settings.pools import CpuPool, GpuPool, ManagedProvisioner, SpotCapacity, SpreadPlacement
from settings.problems import Problem

EVERYBODY: Final = IPv4Network("0.0.0.0/0")
MOST_ZONES: Final = 3
# Quotas of EKS: address blocks of the public endpoint; length of the block of Service addresses.
MOST_BLOCKS: Final = 40
SERVICE_PREFIXES: Final = range(12, 25)
# Two, so that the loss of a node takes neither Karpenter nor DNS away; in dev one will do.
SYSTEM_NODES: Final = {"dev": 1}
SYSTEM_NODES_ELSEWHERE: Final = 2


def check(draft: Draft) -> list[Problem]:
    """Return the problems of an EKS cluster; none for another kind."""
    cluster = draft.cluster
    if not isinstance(cluster, EksCluster):
        return []
    return [
        *_version(cluster),
        *_zones(cluster),
        *_endpoint(cluster, draft),
        *_network(cluster.network, draft),
        *_access(cluster),
        *_protection(cluster, draft),
        *_system_nodes(draft),
        *_dealt_out(draft),
    ]


def _version(cluster: EksCluster) -> Iterable[Problem]:
    if cluster.version not in eks_versions():
        reason = "no versions of EKS add-ons and node images are pinned for this Kubernetes version"
        yield Problem("cluster.version", cluster.version, reason, f"use one of: {listed(eks_versions())}")
    own = cluster.node_images.al2023
    if own is not None and not own.startswith(f"{cluster.version}."):
        yield Problem(
            "cluster.node_images.al2023",
            own,
            f"an image for another Kubernetes version than the cluster's {cluster.version}",
            f"write a release that begins with '{cluster.version}.'",
        )


def _zones(cluster: EksCluster) -> Iterable[Problem]:
    if len(set(cluster.zones)) > MOST_ZONES:
        reason = (
            f"a network over {len(cluster.zones)} zones: every zone more costs a NAT gateway and endpoints"
        )
        yield Problem("cluster.zones", list(cluster.zones), reason, f"name {MOST_ZONES} zones at most")


def _endpoint(cluster: EksCluster, draft: Draft) -> Iterable[Problem]:
    if not isinstance(cluster.endpoint, PublicEndpoint):
        return
    path = "cluster.endpoint.allow"
    blocks = cluster.endpoint.allow
    yield from repeated(blocks, path, "the block")
    if len(blocks) > MOST_BLOCKS:
        reason = f"EKS takes {MOST_BLOCKS} blocks at most"
        yield Problem(path, f"{len(blocks)} blocks", reason, "join neighbouring blocks")
    for index, block in enumerate(blocks):
        network = IPv4Network(block)
        if network == EVERYBODY and draft.environment != "dev":
            yield Problem(
                f"{path}[{index}]",
                block,
                f"opens the cluster's API to the whole internet in {draft.environment or 'this environment'}",
                "write the blocks of your offices and build servers, or `endpoint: {kind: private}`",
            )
        elif any(network.subnet_of(private) for private in PRIVATE_RANGES):
            yield Problem(
                f"{path}[{index}]",
                block,
                "a private block: EKS refuses it, for it never reaches the public endpoint",
                "remove it: inside the VPC, and from what is joined to it, the private endpoint is open",
            )


def _network(network: Network, draft: Draft) -> Iterable[Problem]:
    vpc, services = IPv4Network(network.cidr), IPv4Network(network.service_cidr)
    if services.prefixlen not in SERVICE_PREFIXES:
        yield Problem(
            "cluster.network.service_cidr",
            network.service_cidr,
            f"EKS takes a block of /{SERVICE_PREFIXES[0]} to /{SERVICE_PREFIXES[-1]} for Services",
            "write e.g. '172.20.0.0/16'",
        )
    if vpc.overlaps(services):
        other = "10.100.0.0/16" if services.subnet_of(PRIVATE_RANGES[1]) else "172.20.0.0/16"
        yield Problem(
            "cluster.network.service_cidr",
            network.service_cidr,
            f"overlaps the VPC's block {network.cidr}: a Service and a node could have one address",
            f"write a block outside of it, e.g. {other!r}",
        )
    if isinstance(network.nat, SingleNat) and draft.environment in {"staging", "prod"}:
        yield Problem(
            "cluster.network.nat",
            "single",
            f"one NAT gateway in {draft.environment}: the loss of its zone cuts off the other zones too",
            "write `nat: {kind: per-zone}`",
        )


def _access(cluster: EksCluster) -> Iterable[Problem]:
    access = cluster.access
    yield from repeated((*access.admins, *access.viewers), "cluster.access", "the principal")
    for key, principals in (("admins", access.admins), ("viewers", access.viewers)):
        for index, principal in enumerate(principals):
            _, partition, _, _, account, _ = principal.split(":", maxsplit=5)
            if (partition, account) != (cluster.partition, cluster.account):
                here = f"arn:{cluster.partition}:iam::{cluster.account}:"
                yield Problem(
                    f"cluster.access.{key}[{index}]",
                    principal,
                    f"a principal of another account than the cluster's ({cluster.account}): EKS knows none",
                    f"name a role that begins with {here!r}; people of other accounts assume it",
                )


def _protection(cluster: EksCluster, draft: Draft) -> Iterable[Problem]:
    if cluster.deletion_protection is False and draft.environment == "prod":
        yield Problem(
            "cluster.deletion_protection",
            value=False,
            reason="in prod one mistaken command would delete the cluster",
            fix="remove the key: in prod it is on",
        )


def _system_nodes(draft: Draft) -> Iterable[Problem]:
    """DNS and the controllers, Karpenter's own among them, need nodes that are there before Karpenter is."""
    if draft.broken_pools or not draft.pools:
        return
    need = SYSTEM_NODES.get(draft.environment or "", SYSTEM_NODES_ELSEWHERE)
    fixed = [
        pool
        for pool in draft.pools
        if isinstance(pool, CpuPool)
        and isinstance(pool.provisioner, ManagedProvisioner)
        and not isinstance(pool.capacity, SpotCapacity)
    ]
    have = sum(pool.min for pool in fixed)
    if have < need:
        reason = (
            f"the cluster starts with {have} CPU nodes of managed pools that are not Spot, and needs {need}: "
            "Karpenter and DNS can not run on nodes that Karpenter makes"
        )
        yield Problem(
            "pools",
            listed(pool.name for pool in fixed),
            reason,
            "add {kind: cpu, name: system, instance_type: c6i.2xlarge, "
            f"min: {need}, max: {need}, provisioner: {{kind: managed}}, capacity: {{kind: on-demand}}}}",
        )


def _dealt_out(draft: Draft) -> Iterable[Problem]:
    """A managed pool that is spread has a node group in each zone."""
    for pool in draft.pools:
        zones = draft.zones_of(pool) or ()
        if (
            isinstance(pool, GpuPool)
            and isinstance(pool.provisioner, ManagedProvisioner)
            and isinstance(pool.placement, SpreadPlacement)
            and 0 < pool.min == pool.max < len(zones)
        ):
            reason = f"{pool.min} nodes can not be spread over {len(zones)} zones"
            yield Problem(
                at(pool, "placement"),
                "spread",
                reason,
                f"write min: {len(zones)} and max: {len(zones)}, or `placement: {{kind: single-zone}}`",
            )
