"""The Job that brings a model's weights to a shared claim, before the model starts.

Owns: the Job and its service account. Does not own: the claim, the Secret with a hub's token, the right to read a bucket.

One for each model and revision: its name has the revision, so another one is another Job. It runs the image's target
`fetch` (docker/vllm), which checks every file and makes the model visible whole. So there is no init container in the
model's pods: a folder that is there is whole, and an engine that finds none ends at once and is started again.

It has no `ttlSecondsAfterFinished`: a refresh would find a Job gone that the stack says is there, and the next run would
make it anew. A finished pod takes nothing from its node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.engine_files import bucket_environment
from components.inference_service import DO_NOT_DISRUPT, container_security, pod_security
from components.model_names import REVISION_LABEL, fill_account, fill_selector
from components.quantities import canonical_cpu, canonical_memory
from settings.fetch import Fetch
from settings.models import Amounts, Model
from settings.needed_secrets import TOKEN_KEY
from settings.pools import POOL_LABEL
from settings.sources import BucketSource
from settings.storage import CompatibleBucket
from settings.weights import CachedWeights, JobFill

if TYPE_CHECKING:
    from pulumi_kubernetes.batch.v1 import JobSpecArgsDict

CLAIM: Final = "/claim"
TOKEN_FOLDER: Final = "/run/secrets/hub"  # noqa: S105 - a place in the container
TMP: Final = "/tmp"  # noqa: S108 - a mount point in the container, not a file of this program
# Notes of the hubs' clients: the weights themselves are written to the claim.
TMP_SIZE: Final = "4Gi"
REVISION_DIGITS: Final = 8
"""Of the revision in the Job's name: a name has 63 characters at most, and a model's up to 48."""
RETRIES: Final = 3
REFUSED: Final = 2
"""Exit code of the program for a request that would end the same way again (docker/vllm/weight_request.py)."""
# Beside the Job's own time: for a node to come, and the image.
START_SECONDS: Final = 900


@dataclass(frozen=True, kw_only=True)
class Filling:
    """What fills a claim with one model's weights. `not_on`: pools that it stays away from, those with GPUs."""

    model: Model
    weights: CachedWeights
    fill: JobFill
    fetch: Fetch
    image: pulumi.Input[str]
    region: str
    not_on: Sequence[str]
    store: CompatibleBucket | None = None


@dataclass(frozen=True, kw_only=True)
class WeightFillArgs:
    """`namespace`, `priority_class` and `claim` name objects made elsewhere, so that it waits for them."""

    namespace: pulumi.Input[str]
    priority_class: pulumi.Input[str]
    filling: Filling


class WeightFill(pulumi.ComponentResource):
    """Brings the weights; is there when they are."""

    job: Job

    def __init__(self, name: str, args: WeightFillArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:storage:WeightFill", name, {}, opts)
        model, fill = args.filling.model, args.filling.fill
        account = ServiceAccount(
            f"{name}-account",
            metadata=ObjectMetaArgs(
                name=fill_account(model), namespace=args.namespace, labels=fill_labels(model)
            ),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        spec = job_spec(
            args.filling, service_account=account.metadata.name, priority_class=args.priority_class
        )
        wait = f"{fill.timeout_seconds + START_SECONDS}s"
        self.job = Job(
            f"{name}-job",
            metadata=ObjectMetaArgs(
                name=job_name(model.name, model.revision),
                namespace=args.namespace,
                labels=fill_labels(model),
            ),
            # Spelt as the API does, like the pods of models: the SDK takes that as well.
            spec=cast("JobSpecArgsDict", spec),
            opts=pulumi.ResourceOptions(
                parent=self, custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait)
            ),
        )
        self.register_outputs({"job": self.job.metadata.name})


def job_name(model: str, revision: str) -> str:
    """Name the Job by what it brings."""
    return f"{model}-fill-{revision[:REVISION_DIGITS]}"


def fill_labels(model: Model) -> dict[str, str]:
    """Return the labels of Job and pod. Not the model's own: nothing that selects its replicas may find this pod."""
    return {
        **fill_selector(model),
        "app.kubernetes.io/component": "weights",
        "app.kubernetes.io/part-of": "vllm-platform",
        REVISION_LABEL: model.revision,
    }


def job_spec(filling: Filling, *, service_account: object, priority_class: object) -> dict[str, Any]:
    """Return the Job's spec. The two names are text, or Outputs of it."""
    return {
        "backoffLimit": RETRIES,
        "activeDeadlineSeconds": filling.fill.timeout_seconds,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "fetch", "operator": "In", "values": [REFUSED]},
                },
                # An evicted pod, or one whose node went, is no failed try.
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
        "template": {
            # An hour of fetching is not worth a node that could be saved.
            "metadata": {"labels": fill_labels(filling.model), "annotations": {DO_NOT_DISRUPT: "true"}},
            "spec": {
                # A pod for each try: their logs stay.
                "restartPolicy": "Never",
                "serviceAccountName": service_account,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "priorityClassName": priority_class,
                "securityContext": pod_security(),
                "affinity": {"nodeAffinity": _away_from(filling.not_on)},
                "containers": [_container(filling)],
                "volumes": _volumes(filling),
            },
        },
    }


def fetch_args(filling: Filling) -> list[str]:
    """Return the arguments of docker/vllm/fill_cache.py."""
    model, source = filling.model, filling.model.source
    args = [
        f"--source={source.kind}",
        f"--model={model.published_as}",
        f"--revision={model.revision}",
        f"--quantization={model.facts.quantization}",
        f"--licence={model.facts.licence}",
        f"--root={CLAIM}",
        f"--place={model.place_on(filling.weights)}",
        f"--token-file={TOKEN_FOLDER}/{TOKEN_KEY}",
    ]
    # The address of a store comes with its keys, in the environment.
    if not isinstance(source, BucketSource) and source.endpoint is not None:
        args.append(f"--endpoint={source.endpoint}")
    return args if model.engine.trust_remote_code is None else [*args, "--allow-code"]


def _away_from(pools: Sequence[str]) -> dict[str, Any]:
    """Keep off nodes with GPUs, also where somebody has taken their taint away."""
    rule = {"key": POOL_LABEL, "operator": "NotIn", "values": list(pools)}
    return {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [rule]}]
        }
    }


def _container(filling: Filling) -> dict[str, Any]:
    fetch = filling.fetch
    mounts: list[dict[str, Any]] = [
        {"name": "claim", "mountPath": CLAIM},
        {"name": "tmp", "mountPath": TMP},
    ]
    if fetch.hub_token_secret is not None:
        mounts.append({"name": "hub-token", "mountPath": TOKEN_FOLDER, "readOnly": True})
    return {
        "name": "fetch",
        "image": filling.image,
        "imagePullPolicy": "IfNotPresent",
        "args": fetch_args(filling),
        **_environment(filling),
        "resources": {
            "requests": _amounts(fetch.resources.requests),
            "limits": _amounts(fetch.resources.limits),
        },
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def _environment(filling: Filling) -> dict[str, Any]:
    if filling.model.read_from_s3 is None:
        return {}
    return {"env": bucket_environment(filling.region, filling.store)}


def _amounts(amounts: Amounts) -> dict[str, str]:
    return {"cpu": canonical_cpu(amounts.cpu), "memory": canonical_memory(amounts.memory)}


def _volumes(filling: Filling) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": "claim", "persistentVolumeClaim": {"claimName": filling.weights.claim}},
        {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
    ]
    secret = filling.fetch.hub_token_secret
    if secret is not None:
        # As a file: a variable is seen by whoever may look at pods, and stands in dumps.
        items = [{"key": TOKEN_KEY, "path": TOKEN_KEY}]
        volumes.append({"name": "hub-token", "secret": {"secretName": secret, "items": items}})
    return volumes
