"""A model as a service.

Owns: its ServiceAccount, InferenceService, disruption budget and, where asked for, the file of its content filter and its
one scaler: a HorizontalPodAutoscaler, or a ScaledObject of KEDA's. Does not own: the namespace, the priority classes,
KServe, nodes, claims, routes.
"""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import ConfigMap, ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import keda_scaler
from components.content_filter import FILE, config_map_name
from components.engine_args import engine_args
from components.inference_service import Serving, annotations, labels, spec
from components.model_card import card_annotations
from components.model_names import SERVING_API, SERVING_KIND, model_labels, predictor_url
from components.model_wait import annotated, rollout_annotations, wait_for_model
from components.scaling import TAKEN_OVER, disruption_budget, gpu_autoscaler
from settings.keda import KedaScaling
from settings.scaling import HpaScaling


@dataclass(frozen=True, kw_only=True)
class ModelServiceArgs:
    """`namespace` and `priority_class` name objects made elsewhere, so that the model waits for them.

    prometheus: address that a scaler of kind `keda` asks.
    """

    namespace: pulumi.Input[str]
    priority_class: pulumi.Input[str]
    prometheus: str
    serving: Serving


class ModelService(pulumi.ComponentResource):
    """Deploys one model and is there when it is Ready."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:serving:ModelService", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        model = args.serving.model
        account = self._service_account(name)
        if not model.stopped:
            self._serve(name, account)
        PodDisruptionBudget(
            f"{name}-disruption",
            metadata=self._metadata(),
            spec=disruption_budget(model.name),
            opts=self._child,
        )
        self._scaler(name)
        namespace = pulumi.Output.from_input(args.namespace)
        self.url = namespace.apply(lambda namespace_name: predictor_url(model.name, namespace_name))
        self.register_outputs({"url": self.url, "engine_args": engine_args(model)})

    def _metadata(
        self, annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None
    ) -> ObjectMetaArgs:
        model = self._args.serving.model
        return ObjectMetaArgs(
            name=model.name,
            namespace=self._args.namespace,
            labels={**model_labels(model), **(labels or {})},
            annotations=annotations,
        )

    def _scaler(self, name: str) -> None:
        """Make the one that owns the number of replicas, where it is not KServe.

        Beside the InferenceService and not after it: the minimum is asked for while the first replica still starts. A stopped
        model has no Deployment: an autoscaler would say so for ever, and KEDA can be told to rest.
        """
        model = self._args.serving.model
        match model.autoscaling:
            case HpaScaling() as scaling if not model.stopped:
                HorizontalPodAutoscaler(
                    f"{name}-autoscaler",
                    metadata=self._metadata(annotations={TAKEN_OVER: "false"}),
                    spec=gpu_autoscaler(model.name, scaling),
                    opts=self._child,
                )
            case KedaScaling() as scaling:
                namespace = pulumi.Output.from_input(self._args.namespace)
                CustomResource(
                    f"{name}-scaler",
                    api_version=keda_scaler.API_VERSION,
                    kind=keda_scaler.KIND,
                    metadata=self._metadata(
                        annotations=keda_scaler.annotations(model),
                        labels={keda_scaler.OWN_NAME_LABEL: model.name},
                    ),
                    spec=namespace.apply(
                        lambda found: keda_scaler.spec(
                            model, scaling, namespace=found, prometheus=self._args.prometheus
                        )
                    ),
                    opts=self._child,
                )
            case _:
                pass

    def _service_account(self, name: str) -> ServiceAccount:
        metadata = self._metadata()
        metadata.annotations = card_annotations(self._args.serving.model)
        return ServiceAccount(
            f"{name}-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=self._child,
        )

    def _filter_config(self, name: str) -> pulumi.Output[str] | None:
        """Make the file of the content filter. Return the name of its ConfigMap, known once it is there."""
        serving = self._args.serving
        if serving.content_filter is None:
            return None
        config = ConfigMap(
            f"{name}-filter",
            metadata=ObjectMetaArgs(
                name=config_map_name(serving.model.name, serving.content_filter),
                namespace=self._args.namespace,
                labels=model_labels(serving.model),
            ),
            immutable=True,
            data={FILE: serving.content_filter},
            opts=self._child,
        )
        return config.metadata.name

    def _serve(self, name: str, account: ServiceAccount) -> None:
        """Make the InferenceService and wait for it. A stopped model has none.

        KServe has an annotation for a stop, which takes the Deployment and the Service. What is left holds nothing that a new one
        would not have, and nobody can wait for the start: the object's generation goes on, the Deployment's is 1 again. Where it is
        made anew, both are; and its deletion ends with the last pod, so that the GPUs are free when `pulumi up` ends.
        """
        serving = self._args.serving
        model = serving.model
        wait = f"{model.ready_timeout_seconds}s"
        waiting = pulumi.ResourceOptions(
            parent=self, custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait, delete=wait)
        )
        metadata = {"labels": labels(model), "annotations": annotations(model)}
        asked = spec(
            serving,
            service_account=account.metadata.name,
            priority_class=self._args.priority_class,
            filter_config=self._filter_config(name),
        )
        rollout = rollout_annotations(metadata, asked)
        service = CustomResource(
            f"{name}-inference",
            api_version=SERVING_API,
            kind=SERVING_KIND,
            metadata=ObjectMetaArgs(
                name=model.name,
                namespace=self._args.namespace,
                labels=metadata["labels"],
                annotations=metadata["annotations"],
            ),
            spec=annotated(asked, rollout),
            opts=waiting,
        )
        wait_for_model(
            name,
            model.name,
            namespace=self._args.namespace,
            service=service,
            rollout=rollout,
            opts=waiting,
        )
