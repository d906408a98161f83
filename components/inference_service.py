"""The InferenceService of a model, field by field, as KServe v0.20.0 stores it in Standard mode.

Written so that KServe's defaulting webhook finds nothing to change (all of resources and ports given,
quantities in canonical form): a field that it rewrites would differ from the program's at every `pulumi
up`.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.engine_args import API_PORT, METRICS_PORT, METRICS_PORT_NAME, engine_args, tracing_args
from components.engine_files import engine_environment, engine_files, tracing_environment
from components.model_names import PREDICTOR_CONTAINER, model_labels
from components.model_wait import FIRST_REPLICA, SKIP_WAIT, WAIT_FOR
from components.placement import placement
from components.probes import before_stop, probes
from components.quantities import canonical_cpu, canonical_memory
from settings.models import Amounts, Model
from settings.pools import GPU_RESOURCE, GpuPool
from settings.scaling import FixedScaling
from settings.storage import CompatibleBucket

DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
RUN_AS: Final = 1001
"""User and group of the engine, as in the image."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What an InferenceService is made of. `zones` are the pool's; S3 weights are read from `region`, or `store`.

    image: its whole name. content_filter: the text of the filter's file; None is no filter.
    traces_to: host and port of the collector that takes spans; None: the engine writes none.
    """

    model: Model
    pool: GpuPool
    zones: tuple[str, ...]
    region: str
    image: pulumi.Input[str]
    store: CompatibleBucket | None = None
    content_filter: str | None = None
    traces_to: str | None = None


def annotations(model: Model) -> dict[str, str]:
    """Return the annotations of the InferenceService.

    KServe copies them to the pods, so nothing here may change without need: a new value restarts every
    replica. That is why the time to wait is a resource option and not the annotation
    `pulumi.com/timeoutSeconds`.
    """
    return {
        "serving.kserve.io/deploymentMode": "Standard",
        # Exactly one may own the number of replicas. `none`: KServe writes minReplicas, and only then.
        # `external`: it never writes replicas, so no `pulumi up` sets back what a scaler did.
        "serving.kserve.io/autoscalerClass": "none"
        if isinstance(model.autoscaling, FixedScaling)
        else "external",
        # Not this object is waited for (components/model_wait.py), but what is patched of it: by what stands here.
        SKIP_WAIT: "true",
        WAIT_FOR: json.dumps(FIRST_REPLICA),
    }


def labels(model: Model) -> dict[str, str]:
    """Return the labels of the InferenceService. The last one keeps KServe from making a route."""
    return {**model_labels(model), "networking.kserve.io/visibility": "cluster-local"}


def spec(
    serving: Serving, *, service_account: object, priority_class: object, filter_config: object = None
) -> dict[str, Any]:
    """Return the spec of the InferenceService: one predictor, written as a pod (KServe's custom form).

    The names are text, or Outputs of it when the objects are made in the same run. filter_config: of the content
    filter's ConfigMap, None where there is none.
    """
    model = serving.model
    return {
        "predictor": {
            **_replicas(model),
            **_disruption(model),
            "deploymentStrategy": _strategy(model),
            "serviceAccountName": service_account,
            "automountServiceAccountToken": False,
            # Service links put a variable per Service into the pod; one named VLLM_* would be read as a
            # flag of vLLM's.
            "enableServiceLinks": False,
            "priorityClassName": priority_class,
            "terminationGracePeriodSeconds": model.lifecycle.termination_grace_seconds,
            "securityContext": pod_security(),
            **placement(model, serving.pool, serving.zones),
            "containers": [_container(serving, filter_config)],
            "volumes": engine_files(model, filter_config).volumes,
        }
    }


def pod_security() -> dict[str, Any]:
    """Return the pod's security context for the level `restricted`.

    No fsGroup: scratch volumes are writable without it, and on a shared claim it would change the owner of
    every file.
    """
    return {
        "runAsNonRoot": True,
        "runAsUser": RUN_AS,
        "runAsGroup": RUN_AS,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Return the container's security context for the level `restricted`, with a read-only root besides."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def _container(serving: Serving, filter_config: object) -> dict[str, Any]:
    model = serving.model
    return {
        "name": PREDICTOR_CONTAINER,
        "image": serving.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [*engine_args(model), *tracing_args(serving.traces_to)],
        "env": [
            *engine_environment(model, serving.region, serving.store, filtered=filter_config is not None),
            *tracing_environment(model, serving.traces_to),
        ],
        # The first port is the one that KServe's Service maps port 80 to. The protocol is written out
        # because KServe compares it with the live Service's and would update that for ever.
        "ports": [
            {"name": "http", "containerPort": API_PORT, "protocol": "TCP"},
            {"name": METRICS_PORT_NAME, "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": {
            "requests": _amounts(model.resources.requests, model.gpus),
            "limits": _amounts(model.resources.limits, model.gpus),
        },
        "securityContext": container_security(),
        "volumeMounts": engine_files(model, filter_config).mounts,
        **probes(model.lifecycle),
        **before_stop(model.lifecycle),
    }


def _amounts(amounts: Amounts, gpus: int) -> dict[str, str]:
    return {
        "cpu": canonical_cpu(amounts.cpu),
        "memory": canonical_memory(amounts.memory),
        GPU_RESOURCE: str(gpus),
    }


def _replicas(model: Model) -> dict[str, int]:
    """Return the number of replicas where KServe owns it; where a scaler does, it would be ignored."""
    if not isinstance(model.autoscaling, FixedScaling):
        return {}
    return {"minReplicas": model.autoscaling.replicas, "maxReplicas": model.autoscaling.replicas}


def _disruption(model: Model) -> dict[str, Any]:
    """Keep Karpenter from moving a core model: it knows of nodes that could be saved, not of a generation under way.

    On nodes that are not Karpenter's nobody reads it, and a pool may change its provisioner without a restart of
    its models. On the predictor, whose annotations KServe puts on the pods (its v0.20.0, components/predictor.go).
    """
    return {"annotations": {DO_NOT_DISRUPT: "true"}} if model.tier == "core" else {}


def _strategy(model: Model) -> dict[str, Any]:
    """Return the Deployment's strategy. The default, 25 % surge, would ask for GPUs that nobody planned."""
    surge, unavailable = model.rollout.max_surge, model.rollout.max_unavailable
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
