"""Arguments of the network, the control plane and its add-ons."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi

from components.aws.control_plane import ControlPlane, ControlPlaneArgs
from components.aws.eks_addons import NetworkAddons, NetworkAddonsArgs, WorkloadAddons, WorkloadAddonsArgs
from components.aws.flow_logs import FlowLogs, FlowLogsArgs
from components.aws.network import ClusterNetwork, ClusterNetworkArgs
from components.aws.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs
from settings import Settings
from settings.cluster import EksCluster

KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def _cluster(settings: Settings) -> EksCluster:
    return cast("EksCluster", settings.cluster)


def _subnets(settings: Settings) -> dict[str, str]:
    return {zone: f"subnet-{index}" for index, zone in enumerate(settings.cluster.zones)}


FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    ClusterNetwork: lambda s: ClusterNetworkArgs(cluster=_cluster(s), flow_log_key=KEY),
    VpcEndpoints: lambda s: VpcEndpointsArgs(
        cluster=_cluster(s), vpc_id="vpc-1", subnets=_subnets(s), route_tables=["rtb-1"]
    ),
    FlowLogs: lambda s: FlowLogsArgs(cluster=_cluster(s), vpc_id="vpc-1", key_arn=KEY),
    ControlPlane: lambda s: ControlPlaneArgs(
        cluster=_cluster(s),
        deletion_protection=s.deletion_protection,
        subnets=list(_subnets(s).values()),
        key_arn=KEY,
    ),
    NetworkAddons: lambda s: NetworkAddonsArgs(cluster=_cluster(s), cluster_name=_cluster(s).name),
    WorkloadAddons: lambda s: WorkloadAddonsArgs(
        cluster=_cluster(s),
        cluster_name=_cluster(s).name,
        nodes=["node-group"],
        efs=True,
        tags={"stack": "prod"},
    ),
}
