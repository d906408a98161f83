"""What External Secrets is told: where a namespace's secrets are kept, who logs in there, and which of them become Secrets.

Pure. Each namespace logs in with an account of its own, and that account may read the paths of its own namespace and
nothing else (`settings.vault_rules`, `components.aws.secret_readers`): a store of the whole cluster could be asked by
anybody for anything.
"""

import base64
from typing import Any, Final

from components.addons.vault import VAULT_URL
from settings.needed_secrets import NeededSecret
from settings.secrets import AwsSecrets, VaultSecrets, store_path
from settings.vault_rules import AUDIENCE, READER, role_name

API: Final = "external-secrets.io/v1"
STORE: Final = "secrets"
"""Of each namespace's SecretStore."""
AUTHORITY_SECRET: Final = "vault-authority"  # noqa: S105 - the name of a Secret
"""In each namespace that reads from the program's own Vault: a certificate, for the sake of the authority beside it."""
ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"


def store_spec(kept: VaultSecrets | AwsSecrets, *, namespace: str, region: str) -> dict[str, Any]:
    """Return the SecretStore of a namespace."""
    account = {"name": READER}
    if isinstance(kept, AwsSecrets):
        return {
            "provider": {
                "aws": {
                    "service": "SecretsManager",
                    "region": region,
                    "auth": {"jwt": {"serviceAccountRef": account}},
                }
            }
        }
    vault: dict[str, Any] = {
        "server": kept.address or VAULT_URL,
        "path": kept.mount,
        "version": "v2",
        "auth": {
            "kubernetes": {
                "mountPath": kept.auth_mount,
                "role": role_name(kept, namespace),
                # Of a token for Vault alone: whoever takes it from Vault can not use it at the API server.
                "serviceAccountRef": {**account, "audiences": [AUDIENCE]},
            }
        },
    }
    if kept.address is None:
        vault["caProvider"] = {"type": "Secret", "name": AUTHORITY_SECRET, "key": "ca.crt"}
    elif kept.authority is not None:
        vault["caBundle"] = base64.b64encode(kept.authority.encode()).decode()
    return {"provider": {"vault": vault}}


def external_secret_spec(kept: VaultSecrets | AwsSecrets, needed: NeededSecret) -> dict[str, Any]:
    """Return the ExternalSecret of one Secret. A key that the store lacks is an error, never a Secret without it."""
    path = store_path(kept, needed.namespace, needed.name)
    return {
        "refreshPolicy": "Periodic",
        "refreshInterval": _as_written_back(kept.refresh_minutes),
        "secretStoreRef": {"kind": "SecretStore", "name": STORE},
        "target": {
            "name": needed.name,
            "creationPolicy": "Owner",
            # What is deleted in the store by mistake must not stop what runs.
            "deletionPolicy": "Retain",
            "template": {
                "type": "Opaque",
                "engineVersion": "v2",
                "mergePolicy": "Replace",
                "metadata": {"labels": {"app.kubernetes.io/part-of": "vllm-platform"}},
                # Written out: nothing that somebody adds in the store comes along.
                "data": {key: f'{{{{ index . "{key}" }}}}' for key in needed.keys},
            },
        },
        "data": [{"secretKey": key, "remoteRef": {"key": path, "property": key}} for key in needed.keys],
    }


def _as_written_back(minutes: int) -> str:
    """Write a time as External Secrets does. It takes others too and corrects them, and the next update would be a conflict."""
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{rest}m0s" if hours else f"{rest}m0s"


def authority_request() -> dict[str, Any]:
    """Return the certificate by which a namespace learns who signs Vault's. Vault asks nobody for one: it opens no door."""
    return {
        "secretName": AUTHORITY_SECRET,
        "commonName": READER,
        "usages": ["client auth"],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "vault"},
    }
