"""Vault: where secrets are kept; External Secrets delivers them, so neither its injector nor its CSI driver is there.

Owns: its release, an authority of its own, and the certificate of its replicas. Does not own: the KMS key that
unseals it and the role of its account, and what is in it.

Somebody has to initialize it, once, keep what that prints, and let `vp vault configure` set the rest (docs/secrets.md).
Until then its pods count as ready (`uninitcode`), or the installation would wait for that person and fail. A
sealed pod does not: with a KMS key that means trouble. Without one every pod is unsealed by hand after each start,
so a new version is taken over only as somebody deletes the pods, one by one.

cert-manager renews the certificate. Vault reads it again on a signal, which each pod sends to itself once a day.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.pattern import Addon, AddonArgs
from components.charts import VAULT as CHART
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.volumes import VAULT_VOLUME, vault_replicas

NAME: Final = "vault"
TLS_SECRET: Final = "vault-tls"  # noqa: S105 - the name of a Secret
VAULT_URL: Final = "https://vault-active.vault.svc:8200"
"""Of the replica that answers, in namespace `vault`. What it is checked with is `ca.crt` of TLS_SECRET there."""
AUTHORITY: Final = "vault-authority"
CERT_MANAGER: Final = ADDON_NAMESPACES["cert-manager"]
"""Where cert-manager looks for the keys of issuers of the whole cluster."""
TLS_FOLDER: Final = f"/vault/userconfig/{TLS_SECRET}"
OVER_ZONES: Final = {
    "maxSkew": 1,
    "topologyKey": "topology.kubernetes.io/zone",
    "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": {"app.kubernetes.io/name": NAME, "component": "server"}},
}
_CERTIFICATES: Final = "cert-manager.io/v1"
_TWO_MONTHS: Final = "1440h"
_YEAR: Final = "8760h"
_TEN_YEARS: Final = "87600h"
_RELOAD: Final = "(while sleep 86400; do kill -HUP $(pidof vault); done) >/dev/null 2>&1 &"


@dataclass(frozen=True, kw_only=True)
class VaultArgs(AddonArgs):
    """`key_alias` of the KMS key that unseals it, without `alias/`; empty: by hand. `storage_class`: None is the default.

    replicas: one stays one; of more, a quorum of three.
    """

    region: str
    key_alias: str
    storage_class: str | None = None


class Vault(Addon):
    """Installs it. Once `ready` is known it can be initialized."""

    def __init__(self, name: str, args: VaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:addons:Vault", name, {}, opts)
        certificate = self._certificate(name, args)
        # Pods wait for the Secret that cert-manager makes of it.
        args = replace(args, after=[*args.after, certificate])
        values = vault_values(
            replicas=vault_replicas(args.replicas),
            region=args.region,
            key_alias=args.key_alias,
            storage_class=args.storage_class,
            monitored=args.monitored,
        )
        self._install(name, args, CHART, values)

    def _certificate(self, name: str, args: VaultArgs) -> CustomResource:
        """Make an authority, and with it the certificate: clients then trust one authority for ten years.

        Its key lies beside cert-manager, where the issuer of the whole cluster reads it: each namespace that asks Vault
        for secrets gets the authority's certificate with one of its own.
        """

        def make(
            role: str, kind: str, called: str, spec: pulumi.Input[Any], namespace: pulumi.Input[str] | None
        ) -> CustomResource:
            return CustomResource(
                f"{name}-{role}",
                api_version=_CERTIFICATES,
                kind=kind,
                metadata=ObjectMetaArgs(name=called, namespace=namespace),
                spec=spec,
                # cert-manager: its webhook checks each of these.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
            )

        make("self-signed", "Issuer", "vault-self-signed", {"selfSigned": {}}, CERT_MANAGER)
        make("authority", "Certificate", AUTHORITY, authority_spec(), CERT_MANAGER)
        make("issuer", "ClusterIssuer", NAME, {"ca": {"secretName": AUTHORITY}}, None)
        spec = pulumi.Output.from_input(args.namespace).apply(certificate_spec)
        return make("certificate", "Certificate", TLS_SECRET, spec, args.namespace)


def authority_spec() -> dict[str, Any]:
    """Return the authority's own certificate."""
    return {
        "isCA": True,
        "commonName": AUTHORITY,
        "secretName": AUTHORITY,
        "duration": _TEN_YEARS,
        "renewBefore": _YEAR,
        # A new key would make the certificates of the old one worthless.
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
        "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": "vault-self-signed"},
    }


def certificate_spec(namespace: str) -> dict[str, Any]:
    """Return the replicas' certificate: for all names of their Services, and for each other."""
    services = [NAME, f"{NAME}-active", f"{NAME}-standby", f"*.{NAME}-internal"]
    suffixes = ["", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"]
    return {
        "secretName": TLS_SECRET,
        "duration": _YEAR,
        "renewBefore": _TWO_MONTHS,
        "dnsNames": [*(f"{service}{suffix}" for service in services for suffix in suffixes), "localhost"],
        # The command in the pod, and the readiness probe.
        "ipAddresses": ["127.0.0.1"],
        "usages": ["digital signature", "key encipherment", "server auth"],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": NAME},
    }


def vault_values(
    *, replicas: int, region: str, key_alias: str, storage_class: str | None, monitored: bool
) -> dict[str, Any]:
    """Return the chart's values. That replicas lie on nodes of their own is the chart's default."""
    several = replicas > 1
    disk: dict[str, Any] = {"enabled": True, "size": VAULT_VOLUME}
    if storage_class is not None:
        disk["storageClass"] = storage_class
    return {
        "fullnameOverride": NAME,
        "global": {"tlsDisable": False},
        "injector": {"enabled": False},
        "csi": {"enabled": False},
        "ui": {"enabled": False},
        "server": {
            "ha": {
                "enabled": True,
                "replicas": replicas,
                # By name: the certificate does not know the pods' addresses.
                "apiAddr": f"https://$(VAULT_K8S_POD_NAME).{NAME}-internal:8200",
                "raft": {
                    "enabled": True,
                    "setNodeId": True,
                    "config": server_config(
                        replicas=replicas, region=region, key_alias=key_alias, monitored=monitored
                    ),
                },
                # For one replica the chart would write a budget of 0, and its node could never be drained.
                "disruptionBudget": {"enabled": several, "maxUnavailable": 1},
            },
            "updateStrategyType": "RollingUpdate" if key_alias else "OnDelete",
            "readinessProbe": {"path": "/v1/sys/health?standbyok=true&perfstandbyok=true&uninitcode=204"},
            "postStart": ["/bin/sh", "-c", _RELOAD],
            "logFormat": "json",
            "extraEnvironmentVars": {"VAULT_CACERT": f"{TLS_FOLDER}/ca.crt"},
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
            "dataStorage": disk,
            "auditStorage": disk,
            "extraVolumes": [{"type": "secret", "name": TLS_SECRET}],
            # The chart's script writes the configuration there, and all else is read-only.
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - of the container
            "serviceAccount": {"create": True, "name": NAME},
            "statefulSet": {
                "securityContext": {
                    # The chart's own, which is gone as soon as one is said, and the profile.
                    "pod": {
                        "runAsNonRoot": True,
                        "runAsUser": 100,
                        "runAsGroup": 1000,
                        "fsGroup": 1000,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "container": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                }
            },
            "topologySpreadConstraints": [OVER_ZONES] if several else [],
        },
        "serverTelemetry": {
            "serviceMonitor": {
                "enabled": monitored,
                "tlsConfig": {"ca": {"secret": {"name": TLS_SECRET, "key": "ca.crt"}}, "serverName": NAME},
            }
        },
    }


def server_config(*, replicas: int, region: str, key_alias: str, monitored: bool) -> str:
    """Return Vault's own configuration. Raft maps its data into memory, which locking it all (mlock) would hold there."""
    joins = "\n".join(
        f"""  retry_join {{
    leader_api_addr     = "https://{NAME}-{index}.{NAME}-internal:8200"
    leader_ca_cert_file = "{TLS_FOLDER}/ca.crt"
  }}"""
        for index in range(replicas)
    )
    seal = f'seal "awskms" {{\n  region     = "{region}"\n  kms_key_id = "alias/{key_alias}"\n}}\n'
    return f"""ui            = false
disable_mlock = true
listener "tcp" {{
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_cert_file   = "{TLS_FOLDER}/tls.crt"
  tls_key_file    = "{TLS_FOLDER}/tls.key"
  tls_min_version = "tls12"
  telemetry {{
    unauthenticated_metrics_access = {str(monitored).lower()}
  }}
}}
storage "raft" {{
  path = "/vault/data"
{joins}
}}
{seal if key_alias else ""}service_registration "kubernetes" {{}}
telemetry {{
  prometheus_retention_time = "5m"
  disable_hostname          = true
}}
"""
