"""External Secrets: copies secrets from where they are kept (Vault, AWS Secrets Manager) into Secrets of Kubernetes.

Owns: its kinds and its three Deployments. Does not own: any store or copy; each namespace has its own, made with
what needs the secret.

A store belongs to one namespace and nothing is copied out of the cluster, so the kinds that reach further (of the
whole cluster, or pushing) are not even made. Only external-secrets.io/v1 is served.

The kinds are templates of the chart: they are upgraded with it, and an annotation that the chart passes on keeps
them when it goes: with an ExternalSecret goes the Secret that it owns.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.addons.pattern import Addon, AddonArgs
from components.charts import EXTERNAL_SECRETS as CHART

NAME: Final = "external-secrets"


@dataclass(frozen=True, kw_only=True)
class ExternalSecretsArgs(AddonArgs):
    """Nothing beyond what every add-on is told."""


class ExternalSecrets(Addon):
    """Installs it. Once `ready` is known its webhook answers, and a SecretStore can be made."""

    def __init__(
        self, name: str, args: ExternalSecretsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:ExternalSecrets", name, {}, opts)
        self._install(
            name, args, CHART, external_secrets_values(replicas=args.replicas, monitored=args.monitored)
        )


def external_secrets_values(*, replicas: int, monitored: bool) -> dict[str, Any]:
    """Return the chart's values. Pod security is the chart's own, already as strict as it can be."""
    controller = _part(NAME, replicas, memory="512Mi")
    return {
        "fullnameOverride": NAME,
        "installCRDs": True,
        "crds": {
            "annotations": {"helm.sh/resource-policy": "keep"},
            "unsafeServeV1Beta1": False,
            "createClusterExternalSecret": False,
            "createClusterGenerator": False,
            "createClusterPushSecret": False,
            "createClusterSecretStore": False,
            "createPushSecret": False,
        },
        # Each goes with a kind that is not made.
        "processClusterExternalSecret": False,
        "processClusterGenerator": False,
        "processClusterPushSecret": False,
        "processClusterStore": False,
        "processPushSecret": False,
        **controller,
        "leaderElect": replicas > 1,
        # Off in the chart; without them a release counts as there before the controller runs.
        "livenessProbe": {"enabled": True},
        "readinessProbe": {"enabled": True},
        # For an operator of another kind, which is not here.
        "rbac": {"servicebindings": {"create": False}},
        # It keeps the webhook's certificate itself, and so needs no cert-manager.
        "certController": _part(f"{NAME}-cert-controller", replicas, memory="256Mi"),
        "webhook": _part(f"{NAME}-webhook", replicas, memory="256Mi"),
        # By default the chart leaves them out, without a word, where it sees no such kind.
        "serviceMonitor": {"enabled": monitored, "renderMode": "alwaysRender"},
    }


def _part(app: str, replicas: int, *, memory: str) -> dict[str, Any]:
    several = replicas > 1
    return {
        "replicaCount": replicas,
        "podDisruptionBudget": {"enabled": several, "maxUnavailable": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": memory}},
        "topologySpreadConstraints": [_over_zones(app)] if several else [],
    }


def _over_zones(app: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": app}},
    }
