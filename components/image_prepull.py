"""Engines' images on GPU nodes before a replica needs them: a pod on each node of a pool that has all of its models' images.

Owns: a namespace, a rule that closes it, its service account, a DaemonSet for each pool. Does not own: the nodes, the images, the models.

A new version of an image, tens of gigabytes with its weights, comes to the nodes that run while the former version still
serves: models wait until it is on all of them, and one that can not be pulled stops an update before any replica. A new
node pulls when its first replica comes, with or without this: what Karpenter adds is not sooner ready.

The pods ask for no GPU and tolerate the taint of GPU nodes, which the admission rule allows in a namespace with the label of
node agents (`components/node_agents.py`). It is a namespace of its own, so that nobody else gets that right with it. Nodes
are removed with such a pod on them: Karpenter and drains leave DaemonSets out of account.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
from pulumi_kubernetes.apps.v1 import DaemonSet
from pulumi_kubernetes.core.v1 import Namespace, ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.inference_service import container_security, pod_security
from components.model_namespace import namespace_labels
from components.node_agents import AGENTS_ALLOWED, AGENTS_LABEL
from components.security.network_rules import CLOSED, closed_spec
from settings.pools import GpuPool

if TYPE_CHECKING:
    from pulumi_kubernetes.apps.v1 import DaemonSetSpecArgsDict
    from pulumi_kubernetes.networking.v1 import NetworkPolicySpecArgsDict

SUFFIX: Final = "-images"
ACCOUNT: Final = "prepull"
# Nothing else of the image is started. -I and -S: no module of the image is imported either.
PYTHON: Final = ("python3", "-I", "-S", "-c")
END_AT_ONCE: Final = "pass"
# Blocked first: the first process of a container is not sent a signal that it does not wait for.
STAY: Final = "import signal as s; w = {s.SIGTERM, s.SIGINT}; s.pthread_sigmask(s.SIG_BLOCK, w); s.sigwait(w)"
RESOURCES: Final = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"cpu": "200m", "memory": "64Mi"},
}


@dataclass(frozen=True, kw_only=True)
class PoolImages:
    """What the nodes of a pool have. images: of its models, each once. wait_seconds: until all nodes have them.

    after: what must be there before the pool's nodes.
    """

    pool: GpuPool
    images: Sequence[pulumi.Input[str]]
    wait_seconds: int
    after: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True, kw_only=True)
class ImagePrepullArgs:
    """`models_namespace` gives the namespace its name; `priority_class` names a class that takes nobody's place.

    closed: nobody may talk to the pods, nor they to anybody. Images are pulled by the node.
    """

    models_namespace: str
    priority_class: pulumi.Input[str]
    pools: Sequence[PoolImages]
    closed: bool


class ImagePrepull(pulumi.ComponentResource):
    """Pulls them. `pulled`: by pool, what is there once its nodes have the images."""

    pulled: Mapping[str, DaemonSet]

    def __init__(self, name: str, args: ImagePrepullArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:serving:ImagePrepull", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = Namespace(
            f"{name}-namespace",
            metadata={
                "name": f"{args.models_namespace}{SUFFIX}",
                "labels": {**namespace_labels(), AGENTS_LABEL: AGENTS_ALLOWED},
            },
            opts=child,
        )
        account = ServiceAccount(
            f"{name}-account",
            metadata=ObjectMetaArgs(name=ACCOUNT, namespace=namespace.metadata.name),
            automount_service_account_token=False,
            opts=child,
        )
        if args.closed:
            NetworkPolicy(
                f"{name}-closed",
                metadata=ObjectMetaArgs(
                    name=CLOSED,
                    namespace=namespace.metadata.name,
                    labels={"app.kubernetes.io/part-of": "vllm-platform"},
                ),
                spec=cast("NetworkPolicySpecArgsDict", closed_spec()),
                opts=child,
            )
        self.pulled = {
            each.pool.name: self._pull(f"{name}-{each.pool.name}", each, namespace, account, args)
            for each in args.pools
        }
        self.register_outputs({"pools": sorted(self.pulled)})

    def _pull(
        self,
        name: str,
        each: PoolImages,
        namespace: Namespace,
        account: ServiceAccount,
        args: ImagePrepullArgs,
    ) -> DaemonSet:
        spec = daemon_set_spec(
            each, service_account=account.metadata.name, priority_class=args.priority_class
        )
        wait = f"{each.wait_seconds}s"
        return DaemonSet(
            name,
            metadata=ObjectMetaArgs(
                name=each.pool.name, namespace=namespace.metadata.name, labels=pull_labels(each.pool)
            ),
            # Spelt as the API does, like the pods of models: the SDK takes that as well.
            spec=cast("DaemonSetSpecArgsDict", spec),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*each.after],
                custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait),
            ),
        )


def pull_labels(pool: GpuPool) -> dict[str, str]:
    """Return the labels of a pool's DaemonSet and of its pods."""
    return {
        "app.kubernetes.io/name": "image-prepull",
        "app.kubernetes.io/instance": pool.name,
        "app.kubernetes.io/part-of": "vllm-platform",
    }


def daemon_set_spec(each: PoolImages, *, service_account: object, priority_class: object) -> dict[str, Any]:
    """Return the DaemonSet's spec. The two names are text, or Outputs of it."""
    first, *others = each.images
    selector = {key: value for key, value in pull_labels(each.pool).items() if not key.endswith("part-of")}
    return {
        "selector": {"matchLabels": selector},
        # All nodes at once: nothing is served here.
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
        "template": {
            "metadata": {"labels": pull_labels(each.pool)},
            "spec": {
                "serviceAccountName": service_account,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "priorityClassName": priority_class,
                "terminationGracePeriodSeconds": 5,
                "nodeSelector": each.pool.node_selector,
                "tolerations": each.pool.tolerations,
                "securityContext": pod_security(),
                "initContainers": [
                    _container(f"pull-{index}", image, END_AT_ONCE) for index, image in enumerate(others)
                ],
                "containers": [_container("stay", first, STAY)],
            },
        },
    }


def _container(name: str, image: pulumi.Input[str], program: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*PYTHON, program],
        "resources": RESOURCES,
        "securityContext": container_security(),
    }
