"""KServe: makes a Deployment, a Service and what belongs to them of an InferenceService.

Owns: its kinds (a unit of its own), its controller with its webhooks and configuration, and, where asked for, the
ready-made runtimes that models of others can name. Does not own: any model, route or autoscaler.

The chart of kinds gives them no mark to stay, and has no option for one: with the release every InferenceService
would go. `keep_definitions` sets it. They are upgraded with the chart.

Standard mode: plain Deployments. Routes and scaling are the platform's own (KServe would ignore what they need), so
everything that makes one here is off. The controller runs once, as the chart has it: with none, models run on.

Its metrics lie behind a proxy that asks for a token, and the chart has no ServiceMonitor: who watches it makes one.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import KSERVE, KSERVE_CRD, KSERVE_RUNTIMES, VLLM_TAG

INGRESS_DOMAIN: Final = "svc.cluster.local"
RUNTIME: Final = "vllmserver"
RUNTIMES_OFF: Final = frozenset(
    {
        "autogluonserver",
        # With it goes its variant of several nodes, whose own switch the chart does not read.
        "huggingfaceserver",
        "lgbserver",
        "mlserver",
        "paddleserver",
        "pmmlserver",
        "predictiveserver",
        "sklearnserver",
        "tensorflow",
        "torchserve",
        "tritonserver",
        "xgbserver",
    }
)


@dataclass(frozen=True, kw_only=True)
class KserveDefinitionsArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class KserveDefinitions(Addon):
    """Makes the kinds of serving.kserve.io."""

    def __init__(
        self, name: str, args: KserveDefinitionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:KserveDefinitions", name, {}, opts)
        self._install(name, args, KSERVE_CRD, {}, keep_definitions=True)


@dataclass(frozen=True, kw_only=True)
class KserveArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class Kserve(Addon):
    """Installs the controller. Once `ready` is known its webhooks answer."""

    def __init__(self, name: str, args: KserveArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Kserve", name, {}, opts)
        self._install(name, args, KSERVE, controller_values())


@dataclass(frozen=True, kw_only=True)
class KserveRuntimesArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class KserveRuntimes(Addon):
    """Makes the ClusterServingRuntimes. The platform's own models need none: they bring their image."""

    def __init__(
        self, name: str, args: KserveRuntimesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:KserveRuntimes", name, {}, opts)
        self._install(name, args, KSERVE_RUNTIMES, runtime_values())


def controller_values() -> dict[str, Any]:
    """Return the controller's values. No toleration: GPU nodes, which are tainted, stay free of it."""
    return {
        "kserve": {
            "controller": {
                "deploymentMode": "Standard",
                # The chart's `Always` asks the registry at each start, for a tag that never changes.
                "imagePullPolicy": "IfNotPresent",
                "gateway": {
                    # With this domain, and with no Ingress, a model is reached inside the cluster only.
                    "domain": INGRESS_DOMAIN,
                    "disableIngressCreation": True,
                    "disableIstioVirtualHost": True,
                },
                # It keeps every Deployment, Service and Secret that it watches in memory, and the chart's 300 Mi and tenth
                # of a core are for a handful of them. A limit of CPU stays, because the chart has one.
                "resources": {
                    "requests": {"cpu": "200m", "memory": "300Mi"},
                    "limits": {"cpu": "2", "memory": "1Gi"},
                },
                "rbacProxy": {
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "200m", "memory": "128Mi"},
                    }
                },
            },
            # Downloads of weights for models of others; the chart's 1 Gi is too small for the files of a large one.
            "storage": {
                "resources": {
                    "requests": {"cpu": "100m", "memory": "256Mi"},
                    "limits": {"cpu": "4", "memory": "4Gi"},
                }
            },
        }
    }


def runtime_values() -> dict[str, Any]:
    """Return the values of the chart of runtimes: vLLM, and no other."""
    runtimes: dict[str, Any] = {name: {"disabled": True} for name in sorted(RUNTIMES_OFF)}
    runtimes[RUNTIME] = {"disabled": False, "tag": VLLM_TAG}
    return {"kserve": {"servingruntime": {"enabled": True, **runtimes}, "llmisvcConfigs": {"enabled": False}}}
