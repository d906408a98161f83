"""NVIDIA device plugin: makes GPUs the resource `nvidia.com/gpu`, which pods ask for.

Owns: its DaemonSet, on exactly the pools whose node image has no plugin of its own. Bottlerocket has one, and two on a
node would both answer the kubelet. Does not own: driver and container toolkit, which the node images bring.

No time slicing: it shares a GPU without sharing its memory out, and vLLM takes nine tenths of that for itself. No
discovery of features (GFD, NFD): the pools' labels say what a node has. Its account is called after the release, with an
ending that the chart has no option for; kube-system admits DaemonSets of whatever account.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import NVIDIA_DEVICE_PLUGIN as CHART
from components.node_agents import DEVICE_PLUGIN
from settings.pools import POOL_LABEL, GpuPool

ACCOUNT_ENDING: Final = "-service-account"
"""What the chart (0.20.0) puts behind its full name to name the account."""
NAME: Final = DEVICE_PLUGIN.service_account.removesuffix(ACCOUNT_ENDING)


@dataclass(frozen=True, kw_only=True)
class NvidiaDevicePluginArgs(AddonArgs):
    """`pools`: those whose node image has no plugin, at least one."""

    pools: tuple[GpuPool, ...]


class NvidiaDevicePlugin(Addon):
    """Installs it. `ready` is known at once where the pools have no node yet."""

    def __init__(
        self, name: str, args: NvidiaDevicePluginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:NvidiaDevicePlugin", name, {}, opts)
        self._install(name, args, CHART, device_plugin_values(pools=args.pools))


def device_plugin_values(*, pools: tuple[GpuPool, ...]) -> dict[str, Any]:
    """Return the chart's values."""
    chosen = {"key": POOL_LABEL, "operator": "In", "values": [pool.name for pool in pools]}
    return {
        "fullnameOverride": NAME,
        # In the place of the chart's terms, which want labels of NFD, or `nvidia.com/gpu.present` on any node.
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [chosen]}]
                }
            }
        },
        "tolerations": tolerations_of(pools),
        # Before any model: without it no GPU of the node exists. The chart's own, written out.
        "priorityClassName": "system-node-critical",
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "gfd": {"enabled": False},
    }


def tolerations_of(pools: tuple[GpuPool, ...]) -> list[dict[str, str]]:
    """Return what lets an agent onto all of these pools, each toleration once."""
    found: list[dict[str, str]] = []
    for pool in pools:
        found += [toleration for toleration in pool.tolerations if toleration not in found]
    return found
