"""Pods that run once per node and so belong on GPU nodes too: the one list that the admission rule reads.

An agent is known by namespace and service account. Whoever may create pods in these namespaces is an
administrator already; a label or an image name could be written by anyone.

Not listed, and admitted all the same: what the DaemonSet controller creates in kube-system, and in a
namespace that an administrator has labelled with AGENTS_LABEL. Network, storage and identity agents differ
from cloud to cloud, and to refuse one of them takes down the node that it serves, of whatever pool: they
tolerate everything. The program has one such namespace itself, for the pods with the engines' images
(`image_prepull.py`). To let in an agent of another namespace, add it here, or on a cluster with add-ons of
its own: `kubectl label namespace NAME vllm-platform.io/node-agents=allowed`.
"""

from dataclasses import dataclass
from typing import Final

AGENTS_LABEL: Final = "vllm-platform.io/node-agents"
AGENTS_ALLOWED: Final = "allowed"
CLUSTER_NAMESPACE: Final = "kube-system"
MONITORING_NAMESPACE: Final = "monitoring"
MESH_NAMESPACE: Final = "istio-system"

DAEMONSET_CONTROLLERS: Final = (
    "system:serviceaccount:kube-system:daemon-set-controller",
    # Where the controller manager runs without an account per controller.
    "system:kube-controller-manager",
)
"""Who creates the pods of DaemonSets. Nobody else can act under these names, unlike an owner reference."""
KUBELETS: Final = "system:nodes"
"""Kubelets create mirror pods of static pods and nothing else (the NodeRestriction plugin sees to that)."""


@dataclass(frozen=True, kw_only=True)
class NodeAgent:
    """One agent. `namespace` and `service_account` are what its chart must be installed with."""

    namespace: str
    service_account: str

    @property
    def account(self) -> str:
        """Namespace and account in one string."""
        return f"{self.namespace}/{self.service_account}"


DEVICE_PLUGIN: Final = NodeAgent(namespace=CLUSTER_NAMESPACE, service_account="nvidia-device-plugin")
DCGM_EXPORTER: Final = NodeAgent(namespace=MONITORING_NAMESPACE, service_account="dcgm-exporter")
NODE_EXPORTER: Final = NodeAgent(namespace=MONITORING_NAMESPACE, service_account="node-exporter")
LOG_AGENT: Final = NodeAgent(namespace=MONITORING_NAMESPACE, service_account="otel-agent")
MESH_PROXY: Final = NodeAgent(namespace=MESH_NAMESPACE, service_account="ztunnel")
MESH_NETWORK: Final = NodeAgent(namespace=MESH_NAMESPACE, service_account="istio-cni")
_CLUSTER_ACCOUNTS: Final = (
    "aws-node",
    "kube-proxy",
    "ebs-csi-node-sa",
    "efs-csi-node-sa",
    "eks-pod-identity-agent",
    "eks-node-monitoring-agent",
)

NODE_AGENTS: Final = (
    DEVICE_PLUGIN,
    DCGM_EXPORTER,
    NODE_EXPORTER,
    LOG_AGENT,
    MESH_PROXY,
    MESH_NETWORK,
    *(NodeAgent(namespace=CLUSTER_NAMESPACE, service_account=account) for account in _CLUSTER_ACCOUNTS),
)
