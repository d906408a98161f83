"""DCGM exporter: what each GPU does, and for which pod, as metrics.

Owns: its DaemonSet on every GPU node, and its ServiceMonitor. Does not own: health of GPUs and what follows from it,
which on EKS is the node monitoring agent's.

On EKS that agent runs a second engine (`dcgm-server`) on the node. Only one engine may use a GPU's counters for
profiling (`DCGM_FI_PROF_*`); the agent's watches health, clocks and the fabric, and no such counter (its source,
monitors/nvidia/dcgm/dcgm_client.go, August 2026), so they are the exporter's. Reports of the two disturbing each other
(containers-roadmap 2555, 2763) are of the agent not finding its own engine. Not tried on hardware.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.nvidia_device_plugin import tolerations_of
from components.addons.pattern import Addon, AddonArgs
from components.charts import DCGM_EXPORTER as CHART
from components.model_names import MODEL_LABEL, REVISION_LABEL, TRACK_LABEL
from components.node_agents import DCGM_EXPORTER
from settings.pools import GPU_PRESENT_LABEL, GpuPool

INTERVAL_SECONDS: Final = 15
"""How often GPUs are read and how often Prometheus asks: an autoscaler's sync is as long."""
POD_LABELS: Final = (
    MODEL_LABEL,
    REVISION_LABEL,
    TRACK_LABEL,
    "app.kubernetes.io/version",
    "serving.kserve.io/inferenceservice",
)
"""Labels of a model's pods that become labels of its GPUs' metrics. Each value is a series more: no label of single pods."""


@dataclass(frozen=True, kw_only=True)
class DcgmExporterArgs(AddonArgs):
    """`pools`: all with GPUs."""

    pools: tuple[GpuPool, ...]


class DcgmExporter(Addon):
    """Installs it. `ready` is known at once where the pools have no node yet."""

    def __init__(self, name: str, args: DcgmExporterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:DcgmExporter", name, {}, opts)
        self._install(name, args, CHART, dcgm_values(pools=args.pools, monitored=args.monitored))


def dcgm_values(*, pools: tuple[GpuPool, ...], monitored: bool) -> dict[str, Any]:
    """Return the chart's values. Its right SYS_ADMIN stays: counters for profiling can not be read without."""
    return {
        "fullnameOverride": DCGM_EXPORTER.service_account,
        "serviceAccount": {"create": True, "name": DCGM_EXPORTER.service_account},
        "nodeSelector": {GPU_PRESENT_LABEL: "true"},
        "tolerations": tolerations_of(pools),
        "priorityClassName": "system-node-critical",
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "resources": {
            # The chart's 512 Mi are for a few GPUs; with pod labels it also holds the node's pods. It has a limit of CPU,
            # 200m, that can be raised but not taken away.
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        },
        "kubernetes": {
            "enablePodLabels": True,
            "podLabelAllowlistRegex": [f"^{_literal(label)}$" for label in POD_LABELS],
        },
        # Its own default, 30 s, is twice the time between two questions.
        "extraEnv": [{"name": "DCGM_EXPORTER_INTERVAL", "value": f"{INTERVAL_SECONDS * 1000}"}],
        "serviceMonitor": {
            "enabled": monitored,
            "interval": f"{INTERVAL_SECONDS}s",
            # pod, namespace and container of a metric are those of the GPU's user. Without the first, Prometheus would rename
            # them; without the second, an idle GPU would seem to be used by the exporter.
            "honorLabels": True,
            "relabelings": [
                {"action": "labeldrop", "regex": "pod|namespace|container"},
                {
                    "action": "replace",
                    "sourceLabels": ["__meta_kubernetes_pod_node_name"],
                    "targetLabel": "node",
                },
            ],
        },
    }


def _literal(label: str) -> str:
    """Return a pattern for exactly this label. A comma would end it: the chart joins patterns by one."""
    return label.replace(".", r"\.")
