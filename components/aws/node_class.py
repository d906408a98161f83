"""The EC2NodeClass of a pool: image, disks, network and metadata of the instances that Karpenter makes for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.aws.launch_template import HOP_LIMIT
from components.aws.node_user_data import class_user_data
from settings.cluster import EksCluster
from settings.node_hardware import Disk, disks, efa_interfaces, hardware
from settings.pools import CapacityBlock, Pool, ReservedCapacity


def node_class_spec(
    pool: Pool,
    cluster: EksCluster,
    *,
    subnets: Sequence[pulumi.Input[str]],
    security_group: pulumi.Input[str],
    role_name: pulumi.Input[str],
    tags: Mapping[str, str],
    placement_group: pulumi.Input[str] | None,
) -> dict[str, Any]:
    """Return the spec (karpenter.k8s.aws/v1). Subnets and the group are named by id: a tag could be put on others."""
    spec: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": image_alias(pool, cluster)}],
        "role": role_name,
        "subnetSelectorTerms": [{"id": subnet} for subnet in subnets],
        "securityGroupSelectorTerms": [{"id": security_group}],
        "blockDeviceMappings": [_block_device(device, disk) for device, disk in disks(pool).items()],
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpPutResponseHopLimit": HOP_LIMIT,
            "httpTokens": "required",
        },
        "detailedMonitoring": True,
        "tags": {"Name": f"{cluster.name}-{pool.name}", **tags},
    }
    if hardware(pool).instance_store:
        spec["instanceStorePolicy"] = "RAID0"
    if isinstance(pool.capacity, ReservedCapacity | CapacityBlock):
        spec["capacityReservationSelectorTerms"] = [{"id": pool.capacity.reservation}]
    if placement_group is not None:
        spec["placementGroupSelector"] = {"name": placement_group}
    if interfaces := _network_interfaces(pool):
        spec["networkInterfaces"] = interfaces
    if (user_data := class_user_data(pool)) is not None:
        spec["userData"] = user_data
    return spec


def image_alias(pool: Pool, cluster: EksCluster) -> str:
    """Return the pinned image. Of its variants Karpenter takes the one with NVIDIA's driver for a type with GPUs."""
    if pool.node_image == "bottlerocket":
        return f"bottlerocket@v{cluster.bottlerocket_release}"
    return f"al2023@v{cluster.al2023_date}"


def _block_device(device: str, disk: Disk) -> dict[str, Any]:
    return {
        "deviceName": device,
        "ebs": {
            "volumeType": "gp3",
            "volumeSize": f"{disk.gib}Gi",
            "throughput": disk.throughput,
            "iops": disk.iops,
            "encrypted": True,
            "deleteOnTermination": True,
        },
    }


def _network_interfaces(pool: Pool) -> list[dict[str, Any]]:
    """Return the usual interface and, beside it, one of EFA alone on each network card.

    Karpenter's form of what a launch template says with an interface of both kinds on the first card: it has no
    word for that one.
    """
    cards = range(efa_interfaces(pool))
    if not cards:
        return []
    first = {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}
    return [
        first,
        *({"networkCardIndex": card, "deviceIndex": 1, "interfaceType": "efa-only"} for card in cards),
    ]
