"""Karpenter: brings up a node when a pod finds none, and takes it away when nothing needs it.

Owns: its two charts, its role, the queue of interruptions, and the entry that lets its nodes join. Does not
own: the nodes' role, and the pools (`karpenter_pool`).

It runs on the fixed nodes alone: on a node that it made itself it could end itself. Of its alpha features two
are on: `staticCapacity`, for the minimum of a pool, and `nodeRepair`, which replaces a node with a broken GPU.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.eks import AccessEntry, PodIdentityAssociation

from components.addons.pattern import Addon, AddonArgs
from components.aws.karpenter_interruption import Interruptions, InterruptionsArgs, queue_arn
from components.aws.karpenter_policy import controller_statements
from components.aws.known_after import known_after
from components.aws.node_role import elastic_role_name
from components.aws.workload_role import WorkloadRole, WorkloadRoleArgs
from components.charts import KARPENTER, KARPENTER_CRD
from settings.cluster import EksCluster

NAMESPACE: Final = "kube-system"
ACCOUNT: Final = "karpenter"


@dataclass(frozen=True, kw_only=True)
class KarpenterDefinitionsArgs(AddonArgs):
    """Nothing of its own."""


class KarpenterDefinitions(Addon):
    """Installs its kinds, from a chart of their own: Helm installs what lies in crds/ of the other once and never again."""

    def __init__(
        self, name: str, args: KarpenterDefinitionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:nodes:KarpenterDefinitions", name, {}, opts)
        self._install(name, args, KARPENTER_CRD, definitions_values())


def definitions_values() -> dict[str, Any]:
    """Return the values of the chart of kinds. With the kinds every pool would go, and with the pools every node."""
    return {"additionalAnnotations": {"helm.sh/resource-policy": "keep"}}


@dataclass(frozen=True, kw_only=True)
class KarpenterArgs(AddonArgs):
    """`node_role_arn` of the nodes that it makes. `ready`: the cluster's name, once nodes, DNS and Pod Identity work."""

    cluster: EksCluster
    cluster_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    ready: pulumi.Input[str]


class Karpenter(Addon):
    """Installs it. `ready`, the release's name, is known when the controller runs and its nodes may join."""

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:nodes:Karpenter", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        interruptions = Interruptions(f"{name}-interruptions", InterruptionsArgs(cluster=cluster), opts=child)
        role = WorkloadRole(
            f"{name}-controller",
            WorkloadRoleArgs(
                role_name=f"{cluster.name}-karpenter",
                statements=controller_statements(
                    cluster, node_role=elastic_role_name(cluster), queue_arn=queue_arn(cluster)
                ),
            ),
            opts=child,
        )
        association = PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=NAMESPACE,
            service_account=ACCOUNT,
            role_arn=role.arn,
            opts=child,
        )
        entry = AccessEntry(
            f"{name}-nodes",
            cluster_name=args.cluster_name,
            principal_arn=args.node_role_arn,
            # The groups of nodes come with the type.
            type="EC2_LINUX",
            opts=child,
        )
        # Pods that start before the association get no credentials, and none later.
        runnable = pulumi.Output.all(args.ready, association.association_id).apply(lambda _: cluster.name)
        values = controller_values(
            cluster_name=runnable,
            queue=interruptions.queue,
            region=cluster.region,
            replicas=args.replicas,
        )
        release = self._install(name, args, KARPENTER, values, skip_crds=True)
        self.ready = known_after(release.status.name, entry.access_entry_arn)


def controller_values(
    *, cluster_name: pulumi.Input[str], queue: pulumi.Input[str], region: str, replicas: int
) -> dict[str, Any]:
    """Return the chart's values. That it keeps off its own nodes and spreads over zones is the chart's default."""
    return {
        "settings": {
            "clusterName": cluster_name,
            "interruptionQueue": queue,
            # Written out, all of them: a new version must not switch one on or off by itself.
            "featureGates": {
                "capacityBuffer": False,
                "nodeOverlay": False,
                "nodeRepair": True,
                "reservedCapacity": True,
                "spotToSpotConsolidation": False,
                "staticCapacity": True,
            },
        },
        "serviceAccount": {"create": True, "name": ACCOUNT},
        "replicas": replicas,
        # Its own name server, not the cluster's: it has to work when that one waits for a node.
        "dnsPolicy": "Default",
        "controller": {
            # Pods can not ask the node's metadata (hop limit 1), which is where it would look.
            "env": [{"name": "AWS_REGION", "value": region}],
            # Upstream's figures of the getting-started guide; the limit of memory is also what its garbage collector keeps to.
            "resources": {
                "requests": {"cpu": "1", "memory": "1Gi"},
                "limits": {"memory": "1Gi"},
            },
        },
    }
