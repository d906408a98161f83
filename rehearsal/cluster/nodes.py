"""Simulated nodes: one Node object for each node that a stack's pools may have, with the real instance's facts, zone, labels and taints."""

import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from rehearsal.cluster.api import Api, Object, has_condition
from settings.pools import GPU_RESOURCE, POOL_LABEL, Pool
from settings.stack import Settings

# Marks the nodes that belong to the rehearsal, so that reconciling never touches a node that a test or a person added by hand.
REHEARSAL_LABEL = "vllm-platform.io/rehearsal-node"
SIZES_ANNOTATION = "vllm-platform.io/rehearsal-sizes"
ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
# Bytes of a node's disk that pods may use; the root disk that the pools get holds an image with its weights.
EPHEMERAL_STORAGE = "200Gi"
PARALLEL_REQUESTS = 8


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What bringing the nodes in line changed."""

    created: int
    replaced: int
    deleted: int
    unchanged: int


def node_objects(settings: Settings, kubelet_version: str) -> list[Object]:
    """All nodes of a stack: each pool at its maximum, its zones in turn.

    An elastic pool stands at its maximum from the start: adding nodes is not rehearsed, and every state that scaling may reach has its room.
    """
    return [
        _node(settings, pool, zones[index % len(zones)], index, kubelet_version)
        for pool in settings.pools
        for zones in [settings.zones_of(pool)]
        for index in range(pool.max)
    ]


def _node(settings: Settings, pool: Pool, zone: str, index: int, kubelet_version: str) -> Object:
    name = f"{pool.name}-{index}"
    facts = pool.instance
    extended: dict[str, str] = {GPU_RESOURCE: str(facts.gpu.count)} if facts.gpu else {}
    shared = {"pods": str(facts.max_pods), "ephemeral-storage": EPHEMERAL_STORAGE, **extended}
    capacity = {"cpu": str(facts.vcpu), "memory": f"{facts.memory_mib}Mi", **shared}
    allocatable = {
        "cpu": f"{facts.allocatable_cpu_m}m",
        "memory": f"{facts.allocatable_memory_mib}Mi",
        **shared,
    }
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": pool.instance_type,
        ZONE_LABEL: zone,
        REGION_LABEL: settings.cluster.region,
        REHEARSAL_LABEL: "true",
        **pool.node_labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {SIZES_ANNOTATION: json.dumps([capacity, allocatable])},
        },
        "spec": {"taints": pool.node_taints},
        "status": {"capacity": capacity, "allocatable": allocatable, "nodeInfo": _node_info(kubelet_version)},
    }


def _node_info(kubelet_version: str) -> dict[str, str]:
    """Every field is required by the API; only the kubelet's version is meant to be read."""
    fields = (
        "machineID",
        "systemUUID",
        "bootID",
        "kernelVersion",
        "osImage",
        "containerRuntimeVersion",
        "kubeProxyVersion",
    )
    return dict.fromkeys(fields, "simulated") | {
        "kubeletVersion": kubelet_version,
        "operatingSystem": "linux",
        "architecture": "amd64",
    }


def reconcile_nodes(api: Api, wanted: Sequence[Object]) -> Reconciled:
    """Create missing nodes, replace those whose facts changed, delete those that no pool has any more."""
    present = {n["metadata"]["name"]: n for n in api.list("v1", "Node", labels=f"{REHEARSAL_LABEL}=true")}
    names = {n["metadata"]["name"] for n in wanted}
    stale = [n for name, n in present.items() if name not in names]
    changed = [
        n for n in wanted if n["metadata"]["name"] in present and _differs(present[n["metadata"]["name"]], n)
    ]
    missing = [n for n in wanted if n["metadata"]["name"] not in present]
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        list(pool.map(partial(api.delete, "v1", "Node"), [n["metadata"]["name"] for n in [*stale, *changed]]))
        list(pool.map(api.create, [*missing, *changed]))
    return Reconciled(
        created=len(missing),
        replaced=len(changed),
        deleted=len(stale),
        unchanged=len(wanted) - len(missing) - len(changed),
    )


def _differs(present: Object, wanted: Object) -> bool:
    """Whether labels, taints or sizes differ. Taints that the controllers add (not-ready) and labels from elsewhere do not count.

    Sizes are compared as they were asked for: KWOK rewrites them in another notation (32768Mi as 32Gi).
    """
    labels: dict[str, str] = present["metadata"].get("labels", {})
    annotations: dict[str, str] = present["metadata"].get("annotations", {})
    taints = present["spec"].get("taints", [])
    return (
        any(labels.get(k) != v for k, v in wanted["metadata"]["labels"].items())
        or any(t not in taints for t in wanted["spec"]["taints"])
        or annotations.get(SIZES_ANNOTATION) != wanted["metadata"]["annotations"][SIZES_ANNOTATION]
    )


@dataclass(frozen=True, kw_only=True)
class ZoneUse:
    """One pool in one zone: nodes, and GPUs by the requests of the pods that are bound to them."""

    pool: str
    zone: str
    instance_type: str
    nodes: int
    ready: int
    gpus: int
    gpus_used: int
    pods: int


def node_use(api: Api) -> list[ZoneUse]:
    """Pools and zones with the GPUs that are used and free, as the scheduler sees them."""
    pods_by_node: dict[str, list[Object]] = defaultdict(list)
    for pod in api.list("v1", "Pod"):
        if (node := pod["spec"].get("nodeName")) and pod.get("status", {}).get("phase") not in {
            "Succeeded",
            "Failed",
        }:
            pods_by_node[node].append(pod)
    groups: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for node in api.list("v1", "Node"):
        labels: dict[str, str] = node["metadata"].get("labels", {})
        groups[labels.get(POOL_LABEL, "-"), labels.get(ZONE_LABEL, "-")].append(node)
    return [
        ZoneUse(
            pool=pool,
            zone=zone,
            instance_type=nodes[0]["metadata"]["labels"].get("node.kubernetes.io/instance-type", "-"),
            nodes=len(nodes),
            ready=sum(has_condition(n, "Ready") for n in nodes),
            gpus=sum(int(n["status"]["allocatable"].get(GPU_RESOURCE, "0")) for n in nodes),
            gpus_used=sum(pod_gpus(p) for n in nodes for p in pods_by_node[n["metadata"]["name"]]),
            pods=sum(len(pods_by_node[n["metadata"]["name"]]) for n in nodes),
        )
        for (pool, zone), nodes in sorted(groups.items())
    ]


def pod_gpus(pod: Object) -> int:
    """GPUs that a pod's containers ask for."""
    containers: list[dict[str, Any]] = pod["spec"]["containers"]
    return sum(int(c.get("resources", {}).get("requests", {}).get(GPU_RESOURCE, "0")) for c in containers)
