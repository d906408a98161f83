"""What `pulumi up` waits for of a model: its first replica, and later every replica of a new revision.

Owns: two patches that change nothing and end when the model is there. Does not own: the InferenceService and its Deployment.

An InferenceService can not be waited for itself. KServe writes the generation of its Deployment into `status.observedGeneration`
(v0.20.0, inference_service_status.go, PropagateRawStatus), and the provider holds every wait until that reaches the
generation of the object it waits for, which here is another's. A scaler counts the Deployment's up, so that a wait ended before
KServe had done anything; after somebody deleted the Deployment it counts from 1 again, and a wait ran into its timeout.

- At the beginning both are 1: a patch of the InferenceService, made once, waits for Ready.
- From then on a patch of the Deployment waits, whose generations are its own. Which revision it is KServe brings from the
  InferenceService to the pods, as an annotation; so does it those by which the provider waits, and finds nothing to take back.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource, CustomResourcePatch
from pulumi_kubernetes.apps.v1 import DeploymentPatch
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs, ObjectMetaPatchArgs

from components.addons.definitions import FORCE
from components.model_names import SERVING_API, SERVING_KIND, predictor_name
from settings.scalars import TEMPLATE_ANNOTATION

WAIT_FOR: Final = "pulumi.com/waitFor"
SKIP_WAIT: Final = "pulumi.com/skipAwait"
COMPLETE: Final = "NewReplicaSetAvailable"
"""Why a Deployment progresses: every replica that is asked for is there, and of the newest revision."""
NO_OTHERS: Final = "jsonpath={[?@.observedGeneration && @.updatedReplicas == @.replicas].observedGeneration}"
"""Of a Deployment's status: all pods are of the newest revision. One that goes back to a ReplicaSet that it has still counts as
complete, for the moment before that one has pods (v1.36, deployment/sync.go, getNewReplicaSet)."""
FIRST_REPLICA: Final = (
    "condition=Ready",
    f'jsonpath={{.status.conditions[?(@.type=="PredictorReady")].reason}}={COMPLETE}',
)
# Of the predictor: how many there are, and how they are replaced, makes no pod another.
_NOT_OF_PODS: Final = frozenset({"minReplicas", "maxReplicas", "deploymentStrategy"})


def template_digest(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Return the digest of what KServe makes pods of: an InferenceService's labels and annotations, and its predictor."""
    predictor = {key: value for key, value in spec["predictor"].items() if key not in _NOT_OF_PODS}
    text = json.dumps([metadata, predictor], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rollout_conditions(template: str) -> str:
    """Return what the provider waits for of the Deployment: all replicas, of the revision with this digest.

    It stands on the pods: nothing in it may change without them.
    """
    conditions = (
        f"jsonpath={{.spec.template.metadata.annotations['{TEMPLATE_ANNOTATION}']}}={template}",
        f'jsonpath={{.status.conditions[?(@.type=="Progressing")].reason}}={COMPLETE}',
        NO_OTHERS,
    )
    return json.dumps(conditions)


def rollout_annotations(
    metadata: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, pulumi.Input[str]]:
    """Return the annotations of the predictor that bring the wait to its Deployment. `metadata`, `asked`: of the InferenceService."""
    template = pulumi.Output.from_input(asked).apply(lambda known: template_digest(metadata, known))
    return {
        TEMPLATE_ANNOTATION: template,
        WAIT_FOR: template.apply(rollout_conditions),
        # KServe has written those of the revision before, or writes these a moment later: that is no conflict.
        FORCE: "true",
    }


def annotated(asked: Mapping[str, Any], rollout: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    """Return the spec of an InferenceService with more annotations on its predictor, which KServe puts on Deployment and pods."""
    predictor = asked["predictor"]
    return {
        **asked,
        "predictor": {**predictor, "annotations": {**predictor.get("annotations", {}), **rollout}},
    }


def wait_for_model(
    name: str,
    model: str,
    *,
    namespace: pulumi.Input[str],
    service: CustomResource,
    rollout: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> None:
    """Wait for the replicas of the InferenceService of a model. rollout: the annotations of its predictor that say for which."""
    # What is patched goes by itself, and where it is gone already the provider would fail to take back a patch of it.
    stays = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
    first = CustomResourcePatch(
        f"{name}-first-replica",
        api_version=SERVING_API,
        kind=SERVING_KIND,
        metadata=ObjectMetaArgs(name=model, namespace=namespace),
        # Not data: an InferenceService that is not waited for has nothing to tell.
        opts=pulumi.ResourceOptions.merge(stays, pulumi.ResourceOptions(depends_on=[service])),
    )
    awaited = {key: rollout[key] for key in (WAIT_FOR, FORCE)}
    DeploymentPatch(
        f"{name}-rollout",
        metadata=ObjectMetaPatchArgs(name=predictor_name(model), namespace=namespace, annotations=awaited),
        # Not data: KServe makes the Deployment, which a patch can not.
        opts=pulumi.ResourceOptions.merge(stays, pulumi.ResourceOptions(depends_on=[first])),
    )
