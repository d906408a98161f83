"""The control plane of a cluster on Amazon EKS, and who may use it.

Owns: the cluster, its role, the log group of its logs and the access entries. Does not own: network, key,
add-ons and nodes.

Whoever creates a cluster gets no right by that: only the principals in the settings have one, and a change of
the settings takes it away again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.cloudwatch import LogGroup
from pulumi_aws.eks import AccessEntry, AccessPolicyAssociation, Cluster, ClusterVpcConfigArgsDict
from pulumi_aws.iam import Role, RolePolicyAttachment

from components.aws.known_after import known_after
from components.aws.policy_document import Statement, policy_document
from settings.cluster import EksCluster
from settings.network import PublicEndpoint
from settings.pools import GPU_RESOURCE

LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ADMIN_POLICY: Final = "AmazonEKSClusterAdminPolicy"
VIEW_POLICY: Final = "AmazonEKSViewPolicy"
DIGEST_LENGTH: Final = 8


@dataclass(frozen=True, kw_only=True)
class ControlPlaneArgs:
    """`subnets`: at least two, in two zones. `key_arn` encrypts Secrets and logs; CloudWatch Logs may use it."""

    cluster: EksCluster
    deletion_protection: bool
    subnets: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]


class ControlPlane(pulumi.ComponentResource):
    """Makes the cluster.

    certificate_authority: base64 data, as a kubeconfig holds it. issuer: of its tokens. logs: its log group.
    security_group: EKS makes it, for nodes and control
    plane. access: the cluster's name, known once the admins have their rights.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    security_group: pulumi.Output[str]
    issuer: pulumi.Output[str]
    logs: pulumi.Output[str]
    access: pulumi.Output[str]

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:cluster:ControlPlane", name, {}, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        cluster = self._cluster()
        self.cluster_name = cluster.name
        self.endpoint = cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.apply(
            lambda authority: str(authority.data)
        )
        self.issuer = cluster.identities.apply(lambda found: str(found[0].oidcs[0].issuer))  # type: ignore[index]
        # In a structure of which the rest is known before, as it was asked for: it comes with the endpoint.
        group = cluster.vpc_config.apply(lambda config: config.cluster_security_group_id or "")
        self.security_group = known_after(group, cluster.endpoint)
        self.access = self._access(cluster)
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "endpoint": self.endpoint,
                "certificate_authority": self.certificate_authority,
                "security_group": self.security_group,
                "issuer": self.issuer,
                "logs": self.logs,
                "access": self.access,
            }
        )

    def _cluster(self) -> Cluster:
        settings = self._args.cluster
        logs = LogGroup(
            f"{self._name}-logs",
            name=f"/aws/eks/{settings.name}/cluster",
            retention_in_days=settings.log_days,
            kms_key_id=self._args.key_arn,
            opts=self._child,
        )
        self.logs = logs.name
        return Cluster(
            f"{self._name}-cluster",
            name=settings.name,
            version=settings.version,
            role_arn=self._role(),
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            vpc_config=vpc_config(settings, self._args.subnets),
            kubernetes_network_config={"service_ipv4_cidr": settings.network.service_cidr},
            encryption_config={"provider": {"key_arn": self._args.key_arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(LOG_TYPES),
            # EKS's default goes on past the end of standard support, for 0.60 USD an hour instead of 0.10.
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=self._args.deletion_protection,
            # Network plugin, proxy and DNS come as add-ons, with a version and a configuration.
            bootstrap_self_managed_addons=False,
            # Fills a node's GPUs before it takes the next node: a node of which one GPU is used can neither be given back
            # nor hold a model that needs all of them. Pods without a GPU are not scored by it, and are spread by the
            # scheduler's other rules (EKS user guide, control-plane-configuration; offered since August 2026).
            kube_scheduler_config={
                "node_resources_fit": {
                    "scoring_strategy": {
                        "type": "MostAllocated",
                        "resources": [{"name": GPU_RESOURCE, "weight": 1}],
                    }
                }
            },
            # Costs nothing, and does nothing until somebody shifts traffic away from a zone that fails. Then EKS takes the
            # zone's pods out of Services, and node groups start no node there.
            zonal_shift_config={"enabled": True},
            # The name of the log group is EKS's own, so no data says it: without one EKS makes it, for ever and unencrypted.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )

    def _role(self) -> pulumi.Output[str]:
        settings = self._args.cluster
        role = Role(
            f"{self._name}-role",
            name=f"{settings.name}-control-plane",
            assume_role_policy=policy_document([trust(settings)]),
            opts=self._child,
        )
        # AWS's own, which changes with what EKS needs. The right to use the key comes from a grant that EKS makes.
        rights = RolePolicyAttachment(
            f"{self._name}-role-AmazonEKSClusterPolicy",
            role=role.name,
            policy_arn=f"arn:{settings.partition}:iam::aws:policy/AmazonEKSClusterPolicy",
            opts=self._child,
        )
        return known_after(role.arn, rights.id)

    def _access(self, cluster: Cluster) -> pulumi.Output[str]:
        """Let the principals in. A principal has one entry, and a policy for each of its roles."""
        access = self._args.cluster.access
        # Each once, in the order of the settings; the order decides nothing.
        entries = {arn: self._entry(cluster, arn) for arn in dict.fromkeys((*access.admins, *access.viewers))}
        ready = [
            self._associate(entries[arn], ADMIN_POLICY, "admin").id for arn in dict.fromkeys(access.admins)
        ]
        for arn in dict.fromkeys(access.viewers):
            self._associate(entries[arn], VIEW_POLICY, "viewer")
        return known_after(cluster.name, *ready)

    def _entry(self, cluster: Cluster, arn: str) -> tuple[str, AccessEntry]:
        label = principal_label(arn)
        entry = AccessEntry(
            f"{self._name}-access-{label}", cluster_name=cluster.name, principal_arn=arn, opts=self._child
        )
        return label, entry

    def _associate(
        self, labelled: tuple[str, AccessEntry], policy: str, role: str
    ) -> AccessPolicyAssociation:
        label, entry = labelled
        partition = self._args.cluster.partition
        return AccessPolicyAssociation(
            f"{self._name}-{role}-{label}",
            cluster_name=entry.cluster_name,
            principal_arn=entry.principal_arn,
            policy_arn=f"arn:{partition}:eks::aws:cluster-access-policy/{policy}",
            access_scope={"type": "cluster"},
            opts=self._child,
        )


def trust(cluster: EksCluster) -> Statement:
    """Return the role's trust: EKS may act for this one cluster."""
    return Statement(
        sid="ControlPlane",
        actions=("sts:AssumeRole",),
        principals={"Service": "eks.amazonaws.com"},
        conditions={
            "StringEquals": {"aws:SourceAccount": cluster.account},
            "ArnLike": {"aws:SourceArn": cluster.arn},
        },
    )


def vpc_config(cluster: EksCluster, subnets: Sequence[pulumi.Input[str]]) -> ClusterVpcConfigArgsDict:
    """Return where the API is reached from. From inside the VPC always: nodes are there."""
    found: ClusterVpcConfigArgsDict = {
        "subnet_ids": list(subnets),
        "endpoint_private_access": True,
        "endpoint_public_access": False,
    }
    if isinstance(cluster.endpoint, PublicEndpoint):
        # Without a list EKS lets in everybody.
        found["endpoint_public_access"] = True
        found["public_access_cidrs"] = list(cluster.endpoint.allow)
    return found


def principal_label(arn: str) -> str:
    """Return a label that follows from the principal alone, so that no other one's coming or going renames it."""
    digest = hashlib.sha256(arn.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{arn.rpartition('/')[2]}-{digest}"
