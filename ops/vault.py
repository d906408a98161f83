"""What a Vault is told for a stack: audit, mounts, and who of the cluster may read what. It can be done again at any time.

The token comes from the environment and goes into one header of each request. No value of a secret is read or written.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx

from rehearsal.errors import UserError
from settings.needed_secrets import NeededSecret
from settings.secrets import VaultSecrets, store_path
from settings.vault_rules import NamespaceRule, vault_rules

REQUEST_SECONDS: Final = 30.0
AUDIT_FILE: Final = "/vault/audit/audit.log"
"""On the volume that the chart's pods have for it."""
IN_A_POD: Final[Mapping[str, Any]] = {"kubernetes_host": "https://kubernetes.default.svc"}
"""How Vault reaches the API server: with its own account, whose token and authority it reads anew."""
NOT_FOUND: Final = 404


@dataclass(frozen=True, kw_only=True)
class Vault:
    """One server. Raises UserError for what it refuses, with its own words."""

    client: httpx.Client

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the data at a path, None where there is none."""
        answer = self._send("GET", path)
        if answer.status_code == NOT_FOUND:
            return None
        body = cast("dict[str, Any]", answer.json())
        return cast("dict[str, Any]", body.get("data") or {})

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Write to a path."""
        if self._send("POST", path, body).status_code == NOT_FOUND:
            raise UserError(f"Vault has nothing at {path}")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            answer = self.client.request(method, f"/v1/{path}", json=body)
        except httpx.HTTPError as error:
            raise UserError(f"Vault does not answer: {error or type(error).__name__}") from None
        if answer.is_error and answer.status_code != NOT_FOUND:
            raise UserError(f"Vault refused {method} {path}: {_errors(answer)}")
        return answer


def _errors(answer: httpx.Response) -> str:
    try:
        told = cast("list[object]", cast("dict[str, Any]", answer.json()).get("errors") or [])
    except ValueError:
        told = []
    return "; ".join(str(one).strip() for one in told) or f"HTTP {answer.status_code}"


def connect(environment: Mapping[str, str]) -> Vault:
    """Return the server that a shell's variables name, as `vault` itself reads them. Raises UserError where one lacks."""
    missing = [name for name in ("VAULT_ADDR", "VAULT_TOKEN") if not environment.get(name)]
    if missing:
        raise UserError(f"set {' and '.join(missing)} (docs/secrets.md says where from)")
    verify: Any = True
    if bundle := environment.get("VAULT_CACERT"):
        try:
            verify = ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise UserError(f"VAULT_CACERT: {bundle} can not be read: {error}") from None
    client = httpx.Client(
        base_url=environment["VAULT_ADDR"].rstrip("/"),
        headers={"X-Vault-Token": environment["VAULT_TOKEN"], "X-Vault-Request": "true"},
        verify=verify,
        timeout=REQUEST_SECONDS,
        trust_env=False,
    )
    return Vault(client=client)


def configure(
    vault: Vault,
    kept: VaultSecrets,
    needed: tuple[NeededSecret, ...],
    *,
    audit_file: str = AUDIT_FILE,
    api: Mapping[str, Any] = IN_A_POD,
) -> Iterator[str]:
    """Set what the stack needs and yield what was done, line by line. `api`: configuration of the login.

    Of somebody else's Vault only policies and roles are set; mount and login must be there.
    """
    if kept.address is None:
        yield from _audit(vault, audit_file)
    yield from _mounts(vault, kept)
    yield from _login(vault, kept, api)
    for rule in vault_rules(kept, needed):
        yield from _rule(vault, kept, rule)
    yield from _missing(vault, kept, needed)


def _audit(vault: Vault, audit_file: str) -> Iterator[str]:
    """Two devices: Vault answers nobody while it can write to none of its devices, and a volume can be full."""
    there = vault.get("sys/audit") or {}
    for name, place in (("file", audit_file), ("stdout", "stdout")):
        if f"{name}/" in there:
            yield f"audit device {name}: unchanged"
            continue
        vault.put(f"sys/audit/{name}", {"type": "file", "options": {"file_path": place}})
        yield f"audit device {name}: made, to {place}"


def _mounts(vault: Vault, kept: VaultSecrets) -> Iterator[str]:
    own = kept.address is None
    store = (vault.get("sys/mounts") or {}).get(f"{kept.mount}/")
    if store is None and own:
        vault.put(f"sys/mounts/{kept.mount}", {"type": "kv", "options": {"version": "2"}})
        yield f"mount {kept.mount}: made, key-value version 2"
    elif store is None:
        raise UserError(f"Vault has no mount {kept.mount}: write the right one into secrets.mount")
    elif (store.get("type"), cast("dict[str, Any]", store.get("options") or {}).get("version")) != (
        "kv",
        "2",
    ):
        raise UserError(
            f"{kept.mount} is in Vault, and no key-value store of version 2: choose another secrets.mount"
        )
    else:
        yield f"mount {kept.mount}: unchanged"


def _login(vault: Vault, kept: VaultSecrets, api: Mapping[str, Any]) -> Iterator[str]:
    own = kept.address is None
    login = (vault.get("sys/auth") or {}).get(f"{kept.auth_mount}/")
    if login is None and not own:
        raise UserError(
            f"Vault has no login {kept.auth_mount}: whoever runs it makes one of type kubernetes for this cluster"
        )
    if login is None:
        vault.put(f"sys/auth/{kept.auth_mount}", {"type": "kubernetes"})
        vault.put(f"auth/{kept.auth_mount}/config", api)
        yield f"login {kept.auth_mount}: made"
    elif login.get("type") != "kubernetes":
        raise UserError(f"the login {kept.auth_mount} of Vault is no login of Kubernetes accounts")
    else:
        yield f"login {kept.auth_mount}: unchanged"


def _rule(vault: Vault, kept: VaultSecrets, rule: NamespaceRule) -> Iterator[str]:
    place, text = f"sys/policies/acl/{rule.name}", rule.policy(kept.mount)
    if (vault.get(place) or {}).get("policy") == text:
        yield f"policy {rule.name}: unchanged"
    else:
        vault.put(place, {"policy": text})
        yield f"policy {rule.name}: written"
    place, role = f"auth/{kept.auth_mount}/role/{rule.name}", rule.role()
    there = vault.get(place) or {}
    if {key: there.get(key) for key in role} == _as_told(role):
        yield f"role {rule.name}: unchanged"
    else:
        vault.put(place, role)
        yield f"role {rule.name}: written"


def _as_told(role: Mapping[str, Any]) -> dict[str, Any]:
    """Return a role as Vault shows it: times in seconds."""
    return {
        key: int(value.removesuffix("m")) * 60
        if key.startswith("token_") and isinstance(value, str)
        else value
        for key, value in role.items()
    }


def _missing(vault: Vault, kept: VaultSecrets, needed: tuple[NeededSecret, ...]) -> Iterator[str]:
    """Say which secrets are not there yet. Vault tells the names of keys without what they hold."""
    for one in needed:
        path = store_path(kept, one.namespace, one.name)
        found = vault.get(f"{kept.mount}/subkeys/{path}") or {}
        there = cast("dict[str, Any]", found.get("subkeys") or {})
        lacking = [key for key in one.keys if key not in there]
        if lacking:
            yield f"not there yet: {path}, keys {', '.join(lacking)} (for {one.setting})"
