"""CloudNativePG: makes PostgreSQL clusters, and the plugin that copies them to a bucket.

Owns: its kinds, the operator, and the plugin (a unit of its own). Does not own: any database, bucket or schedule.

The kinds of both charts are templates: they are upgraded with them, and each carries Helm's mark to stay, without
an option: with them every database would go.

The operator finds the plugin by a Service in its own namespace, so both are installed there. The plugin runs once,
as its chart demands (it is replaced by `Recreate`); the log of a database waits for it on the database's volume.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import BARMAN_CLOUD, CLOUDNATIVE_PG

NAME: Final = "cloudnative-pg"
BACKUP_PLUGIN: Final = "barman-cloud.cloudnative-pg.io"
"""What a cluster calls the plugin by."""


@dataclass(frozen=True, kw_only=True)
class CloudnativePgArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class CloudnativePg(Addon):
    """Installs the operator. Once `ready` is known its webhooks answer, and a Cluster can be made."""

    def __init__(
        self, name: str, args: CloudnativePgArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:CloudnativePg", name, {}, opts)
        values = operator_values(replicas=args.replicas, monitored=args.monitored)
        self._install(name, args, CLOUDNATIVE_PG, values)


@dataclass(frozen=True, kw_only=True)
class CloudnativePgBackupsArgs(AddonArgs):
    """Nothing beyond what every add-on is told. `namespace`: that of the operator."""


class CloudnativePgBackups(Addon):
    """Installs the plugin. Once `ready` is known, a Cluster can name `BACKUP_PLUGIN`."""

    def __init__(
        self, name: str, args: CloudnativePgBackupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:CloudnativePgBackups", name, {}, opts)
        self._install(name, args, BARMAN_CLOUD, backup_values())


def operator_values(*, replicas: int, monitored: bool) -> dict[str, Any]:
    """Return the operator's values. Pod security is the chart's own, already as strict as it can be."""
    labels = {"app.kubernetes.io/name": NAME}
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    return {
        "fullnameOverride": NAME,
        "crds": {"create": True},
        # One works, the others wait. The chart has no budget: with none running, databases run on.
        "replicaCount": replicas,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "topologySpreadConstraints": [spread] if replicas > 1 else [],
        "monitoring": {"podMonitorEnabled": monitored},
    }


def backup_values() -> dict[str, Any]:
    """Return the plugin's values. It passes nothing through itself: the copying is done beside each instance."""
    return {
        "crds": {"create": True},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }
