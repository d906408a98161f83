"""Harbor: a registry of images inside the cluster, which scans what is pushed to it.

Owns: its release, with a database and a Redis of its own. Does not own: the Secret with everything secret of it, its
name in DNS, and what exposes it: it listens on the Service `harbor`, port 80, and TLS ends before that.

What the chart is not told it draws anew with each new version (keys of tokens, of sessions, between its parts), or
takes from its published defaults (the database's password is `changeit`). So one Secret, made before, holds it all:
`HARBOR_KEYS` says under which keys. None of it stands in the values.

The images lie on one volume of one node, so the registry runs once, and a new version first stops the old one.
The volumes stay when the add-on goes. Upstream has no definitions of kinds.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import HARBOR as CHART
from settings.needed_secrets import HARBOR_SECRET
from settings.volumes import HARBOR_VOLUMES

NAME: Final = "harbor"
"""A vLLM image with a model of 7 billion parameters in it has 15 to 20 GB."""


@dataclass(frozen=True, kw_only=True)
class HarborArgs(AddonArgs):
    """`host`: its name outside, which tokens and image names contain. `storage_class`: None is the cluster's default.

    admin_secret: the Secret in its namespace that holds `HARBOR_KEYS`.
    """

    host: str
    storage_class: str | None = None
    admin_secret: str = HARBOR_SECRET


class Harbor(Addon):
    """Installs it. Its pods start once the Secret is there, so that has to be among `after`, or be made before."""

    def __init__(self, name: str, args: HarborArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Harbor", name, {}, opts)
        values = harbor_values(
            host=args.host,
            secret=args.admin_secret,
            storage_class=args.storage_class,
            replicas=args.replicas,
            monitored=args.monitored,
        )
        self._install(name, args, CHART, values)


def harbor_values(
    *, host: str, secret: str, storage_class: str | None, replicas: int, monitored: bool
) -> dict[str, Any]:
    """Return the chart's values. Pod security is the chart's own: restricted, but for a writable file system."""
    several = _part(replicas)
    return {
        "fullnameOverride": NAME,
        "expose": {"type": "clusterIP", "tls": {"enabled": False}, "clusterIP": {"name": NAME}},
        "externalURL": f"https://{host}",
        # Two pods can not have the volume at once.
        "updateStrategy": {"type": "Recreate"},
        "persistence": {"resourcePolicy": "keep", "persistentVolumeClaim": _volumes(storage_class)},
        "existingSecretAdminPassword": secret,
        "existingSecretSecretKey": secret,
        "harborAdminPassword": "",
        "secretKey": "",
        "nginx": several,
        "portal": several,
        "core": {
            **several,
            "existingSecret": secret,
            "existingXsrfSecret": secret,
            "secretName": secret,
        },
        # Logs of jobs in the database: in files they would need a volume of their own, which only one pod can have.
        "jobservice": {**several, "existingSecret": secret, "jobLoggers": ["database"]},
        "registry": {
            "replicas": 1,
            "registry": {"resources": _resources("512Mi", "2Gi")},
            "controller": {"resources": _resources("64Mi", "256Mi")},
            "existingSecret": secret,
            "credentials": {"existingSecret": secret, "password": ""},
        },
        # Fetches its list of vulnerabilities from outside; without a way there its scans fail and nothing else does.
        "trivy": {"enabled": True, "replicas": 1},
        "database": {
            "type": "internal",
            "internal": {
                # The chart's parts take the password from here, whatever the type; its own pod takes it by the variable.
                "password": "",
                "extraEnvVars": [
                    {
                        "name": "POSTGRES_PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}},
                    }
                ],
                "resources": _resources("256Mi", "1Gi"),
                "initContainer": {"permissions": {"resources": _resources("64Mi", "128Mi")}},
            },
            "external": {"existingSecret": secret, "password": ""},
        },
        "redis": {"type": "internal", "internal": {"resources": _resources("64Mi", "512Mi")}},
        "exporter": {"resources": several["resources"]},
        "metrics": {"enabled": monitored, "serviceMonitor": {"enabled": monitored}},
    }


def _volumes(storage_class: str | None) -> dict[str, Any]:
    common = {"storageClass": storage_class} if storage_class is not None else {}
    return {part: {"size": size, **common} for part, size in HARBOR_VOLUMES.items()}


def _part(replicas: int) -> dict[str, Any]:
    """Return what all parts without a volume are told. The chart itself says which pods are to be spread."""
    several = replicas > 1
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
    }
    return {
        "replicas": replicas,
        "resources": _resources("128Mi", "512Mi"),
        # The chart's own minimum is switched off: a budget can not have both.
        "podDisruptionBudget": {"enabled": several, "minAvailable": 0, "maxUnavailable": 1},
        "topologySpreadConstraints": [spread] if several else [],
    }


def _resources(asked: str, most: str) -> dict[str, Any]:
    return {"requests": {"cpu": "50m", "memory": asked}, "limits": {"memory": most}}
