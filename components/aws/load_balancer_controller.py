"""AWS Load Balancer Controller, for one thing: it keeps the gateway's pods registered in our target group.

Owns: its Helm release and its role. Does not own: the load balancer, the target group and its security group
rules, which the program makes. So it needs none of the rights to create load balancers, and everything in the
chart that would make some (Ingresses, Services, Gateways) is off.

The chart's CustomResourceDefinitions lie in crds/: Helm installs them once and never upgrades them. An
upgrade of the chart that needs newer ones needs `kubectl apply --server-side` of that folder first.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.eks import PodIdentityAssociation

from components.addons.pattern import Addon, AddonArgs
from components.aws.known_after import known_after
from components.aws.policy_document import Statement
from components.aws.workload_role import WorkloadRole, WorkloadRoleArgs
from components.charts import LOAD_BALANCER_CONTROLLER as CHART
from settings.cluster import EksCluster

NAMESPACE: Final = "kube-system"
NAME: Final = "aws-load-balancer-controller"


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs(AddonArgs):
    """`target_group`: name of the target group that it fills. `ready`: the cluster's name, once add-ons run there."""

    cluster: EksCluster
    cluster_name: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    target_group: str
    ready: pulumi.Input[str]


class LoadBalancerController(Addon):
    """Installs it."""

    def __init__(
        self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:edge:LoadBalancerController", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = WorkloadRole(
            f"{name}-targets",
            WorkloadRoleArgs(
                role_name=f"{args.cluster.name}-{NAME}",
                statements=target_statements(args.cluster, args.target_group),
            ),
            opts=child,
        )
        association = PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=NAMESPACE,
            service_account=NAME,
            role_arn=role.arn,
            opts=child,
        )
        # Pods that start before the association get no credentials, and none later.
        runnable = known_after(args.ready, association.association_id)
        values = controller_values(
            cluster_name=runnable,
            region=args.cluster.region,
            vpc_id=args.vpc_id,
            replicas=args.replicas,
        )
        self._install(name, args, CHART, values)


def controller_values(
    *, cluster_name: pulumi.Input[str], region: str, vpc_id: pulumi.Input[str], replicas: int
) -> dict[str, Any]:
    """Return the chart's values. No toleration: GPU nodes, which are tainted, stay free of it."""
    return {
        "fullnameOverride": NAME,
        "clusterName": cluster_name,
        # Both told, because pods can not ask the node's metadata (hop limit 1).
        "region": region,
        "vpcId": vpc_id,
        "serviceAccount": {"create": True, "name": NAME},
        "replicaCount": replicas,
        "podDisruptionBudget": {"maxUnavailable": 1},
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "500Mi"}},
        # Without cert-manager the chart makes its webhook's certificate, of ten years, anew at each upgrade, and
        # running pods keep the old one. So: the one that is there is used again.
        "enableCertManager": False,
        "keepTLSSecret": True,
        # Nothing but TargetGroupBindings is its business.
        "createIngressClassResource": False,
        "ingressClassParams": {"create": False},
        "disableIngressClassAnnotation": True,
        "webhookConfig": {"disableIngressValidation": True},
        "enableServiceMutatorWebhook": False,
        "enableBackendSecurityGroup": False,
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "controllerConfig": {
            "featureGates": {
                "ALBGatewayAPI": False,
                "EnableServiceController": False,
                "NLBGatewayAPI": False,
            }
        },
    }


def target_statements(cluster: EksCluster, target_group: str) -> list[Statement]:
    """Return what a TargetGroupBinding without `networking` takes (its v3.5.0, pkg/targetgroupbinding)."""
    targets = (
        f"arn:{cluster.partition}:elasticloadbalancing:{cluster.region}:{cluster.account}"
        f":targetgroup/{target_group}/*"
    )
    return [
        Statement(
            sid="FillTheTargetGroup",
            actions=("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"),
            resources=(targets,),
        ),
        # IAM knows no single resource for these.
        Statement(
            sid="Look",
            actions=(
                "ec2:DescribeVpcs",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
            ),
            resources=("*",),
        ),
    ]
