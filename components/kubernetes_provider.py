"""The one Kubernetes provider of the program, for each kind of cluster.

A function and not a component: the provider's URN must not change with the component that makes the
cluster, because every object's state names it.
"""

import json
from typing import Any, Final

import pulumi
from pulumi_kubernetes import Provider

from settings.cluster import Cluster, EksCluster, ExistingCluster, RehearsalCluster

LOGICAL_NAME: Final = "kubernetes"
# The address of a cluster that is not created yet; the reserved top-level domain resolves nowhere.
PENDING_ENDPOINT: Final = "https://pending.invalid"


def kubernetes_provider(cluster: Cluster) -> Provider:
    """Make the provider. What the shell says about Kubernetes is overruled, argument by argument."""
    return Provider(
        LOGICAL_NAME,
        kubeconfig=kubeconfig(cluster),
        context=cluster.context if isinstance(cluster, ExistingCluster) else None,
        # Without it a new address in the kubeconfig (a restarted rehearsal, a renewed certificate) would
        # replace the provider and with it every object.
        cluster_identifier=identifier(cluster),
        enable_server_side_apply=True,
        delete_unreachable=False,
        skip_update_unreachable=False,
        suppress_deprecation_warnings=False,
    )


def kubeconfig(cluster: Cluster) -> pulumi.Input[str]:
    """Return a path where the file is somebody else's, and the content where it follows from the settings.

    A path stays out of the state together with the credentials behind it; relative to the project it is
    also the same on every machine. The provider's process runs in the project's directory.
    """
    match cluster:
        case RehearsalCluster():
            return f".rehearsal/{cluster.name}/kubeconfig"
        case ExistingCluster():
            return cluster.kubeconfig
        case EksCluster():
            return json.dumps(eks_kubeconfig(cluster, endpoint=PENDING_ENDPOINT), sort_keys=True)


def identifier(cluster: Cluster) -> str:
    """Return what makes the cluster another one when it changes."""
    match cluster:
        case RehearsalCluster():
            return f"rehearsal/{cluster.name}"
        case ExistingCluster():
            return f"existing/{cluster.context}"
        case EksCluster():
            return f"eks/{cluster.region}/{cluster.name}"


def eks_kubeconfig(cluster: EksCluster, *, endpoint: str) -> dict[str, Any]:
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
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster.name, "cluster": {"server": endpoint}}],
        "users": [{"name": cluster.name, "user": {"exec": login}}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": cluster.name}}],
        "current-context": cluster.name,
    }
