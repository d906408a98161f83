"""The one Kubernetes provider of the program, for each kind of cluster.

A function and not a component: the provider's URN must not change with the component that makes the
cluster, because every object's state names it.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import Provider

from settings.cluster import Cluster, EksCluster, ExistingCluster, RehearsalCluster

LOGICAL_NAME: Final = "kubernetes"


@dataclass(frozen=True, kw_only=True)
class EksApi:
    """The API of a cluster that the program creates. `certificate_authority` is base64 data.

    access: known once whoever runs the program may use the API; before that every object would be refused.
    """

    endpoint: pulumi.Input[str]
    certificate_authority: pulumi.Input[str]
    access: pulumi.Input[str]


def kubernetes_provider(cluster: Cluster, api: EksApi | None = None) -> Provider:
    """Make the provider; `api` is for a cluster of kind eks. What the shell says about Kubernetes is overruled, argument by argument.

    Raises TypeError for a cluster of kind eks without its API.
    """
    return Provider(
        LOGICAL_NAME,
        kubeconfig=kubeconfig(cluster, api),
        context=cluster.context if isinstance(cluster, ExistingCluster) else None,
        # Without it a new address in the kubeconfig (a restarted rehearsal, a renewed certificate) would
        # replace the provider and with it every object.
        cluster_identifier=identifier(cluster),
        enable_server_side_apply=True,
        delete_unreachable=False,
        skip_update_unreachable=False,
        suppress_deprecation_warnings=False,
    )


def kubeconfig(cluster: Cluster, api: EksApi | None = None) -> pulumi.Input[str]:
    """Return a path where the file is somebody else's, and the content where the program made the cluster.

    A path stays out of the state together with the credentials behind it; relative to the project it is
    also the same on every machine. The provider's process runs in the project's directory. The content has no credentials.
    Raises TypeError for a cluster of kind eks without its API.
    """
    match cluster:
        case RehearsalCluster():
            return f".rehearsal/{cluster.name}/kubeconfig"
        case ExistingCluster():
            return cluster.kubeconfig
        case EksCluster():
            if api is None:
                message = (
                    f"cluster {cluster.name}: a cluster that the program creates is reached by what EKS answers; "
                    "give the provider its EksApi"
                )
                raise TypeError(message)
            return pulumi.Output.all(
                endpoint=api.endpoint, authority=api.certificate_authority, access=api.access
            ).apply(lambda known: _eks_kubeconfig_text(cluster, known["endpoint"], known["authority"]))


def identifier(cluster: Cluster) -> str:
    """Return what makes the cluster another one when it changes."""
    match cluster:
        case RehearsalCluster():
            return f"rehearsal/{cluster.name}"
        case ExistingCluster():
            return f"existing/{cluster.context}"
        case EksCluster():
            return cluster.arn


def _eks_kubeconfig_text(cluster: EksCluster, endpoint: str, authority: str) -> str:
    return json.dumps(
        eks_kubeconfig(cluster, endpoint=endpoint, certificate_authority=authority), sort_keys=True
    )


def eks_kubeconfig(cluster: EksCluster, *, endpoint: str, certificate_authority: str) -> dict[str, Any]:
    """Return a kubeconfig without credentials: `aws eks get-token` fetches them for whoever runs this."""
    arguments = [
        "eks",
        "get-token",
        "--cluster-name",
        cluster.name,
        "--region",
        cluster.region,
        "--output",
        "json",
    ]
    login = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "aws",
        "args": arguments,
        "interactiveMode": "Never",
    }
    server = {"server": endpoint, "certificate-authority-data": certificate_authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster.name, "cluster": server}],
        "users": [{"name": cluster.name, "user": {"exec": login}}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": cluster.name}}],
        "current-context": cluster.name,
    }
