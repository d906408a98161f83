"""What a cluster on AWS costs beside its nodes."""

from collections.abc import Iterator

from settings.audit import S3Audit
from settings.cluster import EksCluster
from settings.cost_lines import HOURS, Group, Line, always
from settings.edge import FIREWALL_RULES, CloudFrontEdge
from settings.network import NatPerZone
from settings.price_list import Item, ServicePrices
from settings.scalars import mebibytes
from settings.secrets import AwsSecrets
from settings.stack import Settings
from settings.volumes import kept_volumes

MIB: int = 1024


def service_lines(settings: Settings, beside: ServicePrices) -> Iterator[Line]:
    """Yield the lines. Of a cluster that this program does not make there are only the volumes that the stack names."""
    bill = _Bill(settings, beside)
    if isinstance(settings.cluster, EksCluster):
        yield from _cluster(settings.cluster, settings, bill)
    yield from _volumes(settings, bill)
    if isinstance(settings.cluster, EksCluster):
        yield from _stored(settings, bill)
        yield from _edge(settings, bill)


class _Bill:
    """Makes lines in one region by one list."""

    def __init__(self, settings: Settings, beside: ServicePrices) -> None:
        self._region = settings.cluster.region
        self._beside = beside

    def line(self, group: Group, name: str, quantity: float, unit: str, item: Item) -> Line:
        """Return a line whose quantity is the same in all columns. What is priced by the hour runs all month."""
        price = self._beside.price(item, self._region)
        hours = HOURS if item.endswith("_hour") else 1
        return Line(
            group=group,
            name=name,
            quantity=always(quantity),
            unit=unit,
            price=None if price is None else price * hours,
        )


def _cluster(cluster: EksCluster, settings: Settings, bill: _Bill) -> Iterator[Line]:
    zones = len(cluster.zones)
    gateways = zones if isinstance(cluster.network.nat, NatPerZone) else 1
    endpoints = len(cluster.interface_endpoints)
    usage = settings.cost.usage
    yield bill.line("control plane", "EKS", 1, "cluster", "cluster_hour")
    yield bill.line("network", "NAT gateways", gateways, "gateway", "nat_hour")
    yield bill.line("network", "public addresses of NAT", gateways, "address", "public_ipv4_hour")
    yield bill.line("network", "through NAT", usage.nat_gib, "GiB", "nat_gib")
    yield bill.line(
        "network", f"{endpoints} interface endpoints", endpoints * zones, "endpoint and zone", "endpoint_hour"
    )
    yield bill.line("keys and secrets", "keys", _keys(settings), "key", "key_month")
    if isinstance(settings.secrets, AwsSecrets):
        yield bill.line("keys and secrets", "secrets", len(settings.needed_secrets), "secret", "secret_month")
    yield bill.line("logs", "into CloudWatch", usage.logs_gib, "GiB", "log_gib")


def _keys(settings: Settings) -> int:
    """Count keys of KMS: of the cluster and of its data, of the audit log, of Vault."""
    vault = any(unit.addon == "vault" for unit in settings.asked.units("managed"))
    return 2 + isinstance(settings.audit, S3Audit) + vault


def _volumes(settings: Settings, bill: _Bill) -> Iterator[Line]:
    kept = kept_volumes(settings) if isinstance(settings.cluster, EksCluster) else ()
    for one in (*kept, *settings.cost.volumes):
        gib = mebibytes(one.size) / MIB
        yield bill.line(
            "volumes", f"{one.name}, {one.count} x {gib:,.0f} GiB", one.count * gib, "GiB", "gp3_gib_month"
        )


def _stored(settings: Settings, bill: _Bill) -> Iterator[Line]:
    usage = settings.cost.usage
    yield bill.line("storage", "shared directory (EFS)", usage.shared_gib, "GiB", "efs_gib_month")
    yield bill.line("storage", "buckets (S3)", usage.bucket_gib, "GiB", "s3_gib_month")


def _edge(settings: Settings, bill: _Bill) -> Iterator[Line]:
    if not isinstance(settings.edge, CloudFrontEdge):
        return
    usage = settings.cost.usage
    yield bill.line("load balancer", "internal load balancer", 1, "balancer", "balancer_hour")
    yield bill.line("load balancer", "capacity units", usage.balancer_units, "unit", "balancer_unit_hour")
    yield bill.line("edge", "firewall", 1, "firewall", "firewall_month")
    yield bill.line("edge", "firewall rules", FIREWALL_RULES, "rule", "firewall_rule_month")
    yield bill.line("edge", "firewall requests", usage.requests, "million", "firewall_million_requests")
    yield bill.line("edge", "CloudFront requests", usage.requests, "million", "cdn_million_requests")
    yield bill.line("edge", "CloudFront answers", usage.answers_gib, "GiB", "cdn_gib")
