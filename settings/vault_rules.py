"""What is set in Vault for the cluster: a policy and a role for each namespace, which say what its account may read.

Pure data: `vp vault` shows it and sets it. None of it is secret.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from settings.needed_secrets import NeededSecret
from settings.secrets import VaultSecrets, store_path

READER: Final = "secret-reader"
"""Account of each namespace that External Secrets logs in with."""
AUDIENCE: Final = "vault"
TOKEN_MINUTES: Final = 10


@dataclass(frozen=True, kw_only=True)
class NamespaceRule:
    """A policy and a role of the same name."""

    name: str
    namespace: str
    paths: tuple[str, ...]

    def policy(self, mount: str) -> str:
        """Return the policy: its secrets can be read, none listed, none written."""
        return "".join(
            f'path "{mount}/data/{path}" {{\n  capabilities = ["read"]\n}}\n' for path in self.paths
        )

    def role(self) -> dict[str, Any]:
        """Return the role: one account of one namespace gets the policy, for some minutes."""
        return {
            "bound_service_account_names": [READER],
            "bound_service_account_namespaces": [self.namespace],
            "audience": AUDIENCE,
            "token_policies": [self.name],
            "token_ttl": f"{TOKEN_MINUTES}m",
            "token_max_ttl": f"{TOKEN_MINUTES}m",
        }


def role_name(kept: VaultSecrets, namespace: str) -> str:
    """Name policy and role of a namespace."""
    return f"{kept.prefix}-{namespace}"


def vault_rules(kept: VaultSecrets, needed: Iterable[NeededSecret]) -> tuple[NamespaceRule, ...]:
    """Return the rules of all namespaces that need a secret."""
    by_namespace: dict[str, list[str]] = {}
    for one in needed:
        by_namespace.setdefault(one.namespace, []).append(store_path(kept, one.namespace, one.name))
    return tuple(
        NamespaceRule(name=role_name(kept, namespace), namespace=namespace, paths=tuple(paths))
        for namespace, paths in sorted(by_namespace.items())
    )
