"""Add-ons of EKS: what Amazon installs and repairs on a cluster, in pinned versions.

Owns: the add-ons and the roles of those that call AWS. Before the nodes: what makes a node ready. After the first
nodes: what runs on them. Does not own: what charts install.

Which GPU nodes an add-on reaches: its agents of every node tolerate every taint, by default or by what is
written here. Its controllers tolerate no taint of ours, and run on CPU nodes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.eks import Addon, AddonPodIdentityAssociationArgsDict

from components.aws.known_after import known_after
from components.aws.workload_role import WorkloadRole, WorkloadRoleArgs
from settings.cluster import EksCluster

TOLERATE_ALL: Final = ({"operator": "Exists"},)


@dataclass(frozen=True, kw_only=True)
class AddonRole:
    """The account of an add-on's pods, and AWS's own policy for it: the part of its ARN after `policy/`."""

    account: str
    policy: str


CNI_ROLE: Final = AddonRole(account="aws-node", policy="AmazonEKS_CNI_Policy")
# Only volumes and snapshots that the driver tagged (since April 2026; its predecessor allowed more).
EBS_ROLE: Final = AddonRole(account="ebs-csi-controller-sa", policy="AmazonEBSCSIDriverPolicyV2")
EFS_ROLE: Final = AddonRole(account="efs-csi-controller-sa", policy="service-role/AmazonEFSCSIDriverPolicy")


@dataclass(frozen=True, kw_only=True)
class NetworkAddonsArgs:
    """`cluster_name`: of a cluster without nodes."""

    cluster: EksCluster
    cluster_name: pulumi.Input[str]


class NetworkAddons(pulumi.ComponentResource):
    """Installs what every node needs from its first second. `cluster_name` is known once all of it is there."""

    cluster_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: NetworkAddonsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:cluster:NetworkAddons", name, {}, opts)
        install = _Installer(name, args.cluster, self)
        # The network plugin gets its rights from this agent, which runs on the node's own network. Without it the plugin
        # crashes (aws/amazon-vpc-cni-k8s issue 3840), so it comes after.
        agent = install.addon("eks-pod-identity-agent", args.cluster_name)
        plugin = install.addon(
            "vpc-cni", agent.cluster_name, role=CNI_ROLE, configuration=network_configuration()
        )
        proxy = install.addon("kube-proxy", args.cluster_name)
        self.cluster_name = known_after(plugin.cluster_name, proxy.cluster_name)
        self.register_outputs({"cluster_name": self.cluster_name})


@dataclass(frozen=True, kw_only=True)
class WorkloadAddonsArgs:
    """`nodes`: what is known once there are nodes without a taint. `efs`: the stack has a file system. `tags`: of new volumes."""

    cluster: EksCluster
    cluster_name: pulumi.Input[str]
    nodes: Sequence[pulumi.Input[str]]
    efs: bool
    tags: Mapping[str, str]


class WorkloadAddons(pulumi.ComponentResource):
    """Installs what needs nodes: DNS, drivers of volumes, and what finds broken nodes. `ready`, the cluster's name, is known once it runs."""

    ready: pulumi.Output[str]

    def __init__(
        self, name: str, args: WorkloadAddonsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:cluster:WorkloadAddons", name, {}, opts)
        install = _Installer(name, args.cluster, self)
        # EKS calls an add-on active when its pods run: without a node its creation fails after 20 minutes.
        populated = known_after(args.cluster_name, *args.nodes)
        addons = [
            install.addon("coredns", populated),
            install.addon(
                "aws-ebs-csi-driver", populated, role=EBS_ROLE, configuration=volume_configuration(args.tags)
            ),
            install.addon("eks-node-monitoring-agent", populated, configuration=monitoring_configuration()),
        ]
        if args.efs:
            # No configuration: its agent tolerates everything by default, and EKS refuses keys that it does not know.
            addons.append(install.addon("aws-efs-csi-driver", populated, role=EFS_ROLE))
        self.ready = known_after(*(addon.cluster_name for addon in addons))
        self.register_outputs({"ready": self.ready})


@dataclass(frozen=True)
class _Installer:
    name: str
    cluster: EksCluster
    parent: pulumi.ComponentResource

    def addon(
        self,
        addon: str,
        cluster_name: pulumi.Input[str],
        *,
        role: AddonRole | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> Addon:
        child = pulumi.ResourceOptions(parent=self.parent)
        associations = [self._association(addon, role, child)] if role else None
        return Addon(
            f"{self.name}-{addon}",
            cluster_name=cluster_name,
            addon_name=addon,
            addon_version=self.cluster.addon_version(addon),
            configuration_values=_json(configuration) if configuration else None,
            pod_identity_associations=associations,
            # The settings decide: a field that somebody changed with kubectl would otherwise stop every later update, halfway
            # through the add-ons. PRESERVE keeps such a change, and creation does not offer it.
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=child,
        )

    def _association(
        self, addon: str, role: AddonRole, child: pulumi.ResourceOptions
    ) -> AddonPodIdentityAssociationArgsDict:
        made = WorkloadRole(
            f"{self.name}-{addon}-access",
            WorkloadRoleArgs(
                role_name=f"{self.cluster.name}-{addon}",
                managed_policies=[f"arn:{self.cluster.partition}:iam::aws:policy/{role.policy}"],
            ),
            child,
        )
        return {"role_arn": made.arn, "service_account": role.account}


def network_configuration() -> dict[str, Any]:
    """Return the network plugin's configuration.

    Addresses one by one, not in blocks of 16 (prefix delegation): a node of ours runs a few models and a dozen agents, far
    below the 58 pods of a g5.2xlarge; blocks must be whole, and a subnet runs out of those before it runs out of
    addresses; and the pods of a node, as the instance facts have them, would be other ones.
    """
    # A word and not a truth value, as the add-on's schema has it.
    return {"enableNetworkPolicy": "true"}


def volume_configuration(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the EBS driver's configuration. Written out, because a GPU node without its agent mounts no volume."""
    return {"controller": {"extraVolumeTags": dict(tags)}, "node": {"tolerateAllTaints": True}}


def monitoring_configuration() -> dict[str, Any]:
    """Return the node monitor's configuration.

    Its agent tolerates everything, but the process that asks the GPUs how they are (dcgm-server) comes without a toleration:
    on tainted nodes nobody would find a broken GPU, and node repair would never act.
    """
    return {"dcgmAgent": {"tolerations": list(TOLERATE_ALL)}}


def _json(configuration: Mapping[str, Any]) -> str:
    """Write it in one order: EKS gives back the text as it got it, and any other text is a difference."""
    return json.dumps(configuration, sort_keys=True)
