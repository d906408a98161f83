"""cert-manager: issues the certificates of webhooks and of Vault, and renews them.

Owns: its release, and with it the kinds Issuer, Certificate and their like. Does not own: any issuer or
certificate; who needs one makes it.

The chart's kinds are templates: they are upgraded with it, and stay when it goes (`crds.keep`), because with
them every certificate would go. When the release is there its webhook answers: the chart's hook
`startupapicheck` makes a certificate in a dry run, again and again, until it does.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import CERT_MANAGER as CHART

NAME: Final = "cert-manager"
ZONE: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class CertManager(Addon):
    """Installs it. Once `ready` is known, a Certificate can be made."""

    def __init__(self, name: str, args: CertManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:CertManager", name, {}, opts)
        self._install(
            name, args, CHART, cert_manager_values(replicas=args.replicas, monitored=args.monitored)
        )


def cert_manager_values(*, replicas: int, monitored: bool) -> dict[str, Any]:
    """Return the chart's values. Pod security is the chart's own, already as strict as it can be."""
    return {
        "fullnameOverride": NAME,
        "crds": {"enabled": True, "keep": True},
        # Holds every certificate and Secret that it watches.
        **_part("controller", replicas, memory="512Mi"),
        "webhook": _part("webhook", replicas, memory="128Mi"),
        # Holds every Secret of the cluster, to find the authorities in some of them.
        "cainjector": _part("cainjector", replicas, memory="512Mi"),
        "startupapicheck": {"enabled": True, "resources": _resources("64Mi")},
        "prometheus": {
            "enabled": True,
            "servicemonitor": {"enabled": monitored},
            # The chart refuses both.
            "podmonitor": {"enabled": False},
        },
    }


def _part(component: str, replicas: int, *, memory: str) -> dict[str, Any]:
    several = replicas > 1
    # The chart takes the mere presence of `maxUnavailable` for the budget's content, so it is there only with one.
    budget: dict[str, Any] = {"enabled": True, "maxUnavailable": 1} if several else {"enabled": False}
    return {
        "replicaCount": replicas,
        "podDisruptionBudget": budget,
        "resources": _resources(memory),
        "topologySpreadConstraints": [_over_zones(component)] if several else [],
    }


def _resources(memory: str) -> dict[str, Any]:
    return {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": memory}}


def _over_zones(component: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {
            "matchLabels": {
                "app.kubernetes.io/instance": NAME,
                "app.kubernetes.io/component": component,
            }
        },
    }
