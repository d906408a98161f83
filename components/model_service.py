"""A model as a service.

Owns: its ServiceAccount, InferenceService, disruption budget and, where asked for, its
HorizontalPodAutoscaler. Does not own: the namespace, the priority classes, KServe, nodes, claims, routes.
"""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components.engine_args import engine_args
from components.inference_service import API_VERSION, KIND, Serving, annotations, labels, spec
from components.model_names import model_labels, predictor_url
from components.scaling import disruption_budget, gpu_autoscaler
from settings.scaling import HpaScaling


@dataclass(frozen=True, kw_only=True)
class ModelServiceArgs:
    """`namespace` and `priority_class` name objects made elsewhere, so that the model waits for them."""

    namespace: pulumi.Input[str]
    priority_class: pulumi.Input[str]
    serving: Serving


class ModelService(pulumi.ComponentResource):
    """Deploys one model and is there when it is Ready."""

    inference_service: CustomResource
    url: pulumi.Output[str]

    def __init__(self, name: str, args: ModelServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:serving:ModelService", name, {}, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        model = args.serving.model
        account = self._service_account(name)
        self.inference_service = self._inference_service(name, account)
        PodDisruptionBudget(
            f"{name}-disruption",
            metadata=self._metadata(),
            spec=disruption_budget(model.name),
            opts=self._child,
        )
        # Beside the InferenceService and not after it: the minimum is asked for while the first replica
        # still starts.
        if isinstance(model.autoscaling, HpaScaling):
            HorizontalPodAutoscaler(
                f"{name}-autoscaler",
                metadata=self._metadata(),
                spec=gpu_autoscaler(model.name, model.autoscaling),
                opts=self._child,
            )
        namespace = pulumi.Output.from_input(args.namespace)
        self.url = namespace.apply(lambda namespace_name: predictor_url(model.name, namespace_name))
        self.register_outputs({"url": self.url, "engine_args": engine_args(model)})

    def _metadata(self) -> ObjectMetaArgs:
        model = self._args.serving.model
        return ObjectMetaArgs(name=model.name, namespace=self._args.namespace, labels=model_labels(model))

    def _service_account(self, name: str) -> ServiceAccount:
        return ServiceAccount(
            f"{name}-account",
            metadata=self._metadata(),
            automount_service_account_token=False,
            opts=self._child,
        )

    def _inference_service(self, name: str, account: ServiceAccount) -> CustomResource:
        serving = self._args.serving
        model = serving.model
        wait = f"{model.ready_timeout_seconds}s"
        return CustomResource(
            f"{name}-inference",
            api_version=API_VERSION,
            kind=KIND,
            metadata=ObjectMetaArgs(
                name=model.name,
                namespace=self._args.namespace,
                labels=labels(model),
                annotations=annotations(model),
            ),
            spec=spec(
                serving, service_account=account.metadata.name, priority_class=self._args.priority_class
            ),
            opts=pulumi.ResourceOptions(
                parent=self, custom_timeouts=pulumi.CustomTimeouts(create=wait, update=wait, delete=wait)
            ),
        )
