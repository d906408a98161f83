"""metrics-server: CPU and memory of pods and nodes, for `kubectl top` and for autoscalers on them.

Owns: the API metrics.k8s.io, which only one of a cluster can serve. Does not own: metrics that are kept (Prometheus).

Both of its connections are checked. To kubelets: their certificates are signed by the cluster's authority, as on EKS;
where they are not, it finds nothing, and the cluster is to be changed, not this. From the API server: the chart's
default trusts whoever answers, so here the chart makes a certificate once (`tls.type: helm`, kept by `lookup`) and
writes it into the API's registration. Ten years: nothing renews it, and an expired one ends the API. cert-manager would
renew it, and would have to be there before autoscalers work.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import METRICS_SERVER as CHART

NAME: Final = "metrics-server"
CERTIFICATE_DAYS: Final = 3650


@dataclass(frozen=True, kw_only=True)
class MetricsServerArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class MetricsServer(Addon):
    """Installs it. Once `ready` is known, its API answers."""

    def __init__(
        self, name: str, args: MetricsServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:MetricsServer", name, {}, opts)
        self._install(
            name, args, CHART, metrics_server_values(replicas=args.replicas, monitored=args.monitored)
        )


def metrics_server_values(*, replicas: int, monitored: bool) -> dict[str, Any]:
    """Return the chart's values. Pod security and arguments are the chart's own."""
    several = replicas > 1
    return {
        "fullnameOverride": NAME,
        "replicas": replicas,
        "podDisruptionBudget": {"enabled": several, "maxUnavailable": 1},
        "topologySpreadConstraints": [_over_zones()] if several else [],
        # Upstream's figures: enough for 100 nodes of 70 pods each, by its README.
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "400Mi"}},
        "apiService": {"insecureSkipTLSVerify": False},
        "tls": {"type": "helm", "helm": {"lookup": True, "certDurationDays": CERTIFICATE_DAYS}},
        # The chart makes a ServiceMonitor only with both.
        "metrics": {"enabled": monitored},
        "serviceMonitor": {"enabled": monitored},
    }


def _over_zones() -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
    }
