"""Secrets from end to end: real engine, provider, API server, Vault and controller of External Secrets, on loopback.

Vault runs in memory and unsealed, and asks the real API server about every token. Pods, KMS and AWS are not in it.
"""

import base64
import json
import os
import subprocess
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from pulumi import automation as auto

from ops.vault import Vault, configure
from rehearsal.cluster.api import Api, wait_until
from rehearsal.definitions import define
from rehearsal.errors import UserError
from rehearsal.workspace import pulumi_environment
from settings.needed_secrets import NeededSecret
from settings.secrets import VaultSecrets
from settings.vault_rules import AUDIENCE, READER
from tests.rehearsal.bare import Bare, bare_cluster
from tests.rehearsal.conftest import tools
from tests.rehearsal.secret_services import VaultServer, external_secrets, vault_server

pytestmark = pytest.mark.rehearsal

PROGRAM: Final = Path(__file__).parent / "programs" / "secrets.py"
OWN, FIRST, SECOND = "own-5b1e0f", "first-8c2d1a", "second-f07b33"
NAMESPACE, OTHER = "llm", "other"
NEEDED: Final = NeededSecret(
    namespace=NAMESPACE,
    name="hub-token",
    keys=("token",),
    setting="storage.fetch.hub_token_secret",
    users=frozenset({"models"}),
)
PLACE: Final = "kv/data/llm-prod/llm/hub-token"
# Refreshed every minute; a loaded machine is slower.
ROTATION_SECONDS: Final = 240.0


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """The cluster, and a Vault that was told of it."""

    bare: Bare
    vault: VaultServer
    kept: VaultSecrets
    told: list[str]
    controller_log: Path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    with bare_cluster(tmp_path_factory.mktemp("secrets")) as cluster:
        with cluster.api() as api:
            define(api, tools(), ["external-secrets"])
            for name in (NAMESPACE, OTHER, "vault"):
                api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield cluster


@pytest.fixture(scope="module")
def delivered(bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Generator[Delivered]:
    folder = tmp_path_factory.mktemp("vault")
    with vault_server(folder) as server, external_secrets(bare.layout, folder) as log:
        kept = VaultSecrets.model_validate(
            {
                "kind": "vault",
                "address": server.address,
                "authority": server.authority,
                "prefix": "llm-prod",
                "mount": "kv",
                "refresh_minutes": 1,
            }
        )
        with server.as_root().client as client:
            own = kept.model_copy(update={"address": None})
            told = _configure(Vault(client=client), own, folder, _as_vault_asks(bare))
        yield Delivered(bare=bare, vault=server, kept=kept, told=told, controller_log=log)


def _configure(vault: Vault, kept: VaultSecrets, folder: Path, api: Mapping[str, Any]) -> list[str]:
    return list(configure(vault, kept, (NEEDED,), audit_file=str(folder / "audit.log"), api=api))


def _secret(api: Api) -> str | None:
    found = api.get("v1", "Secret", "hub-token", NAMESPACE)
    return base64.b64decode(found["data"]["token"]).decode() if found else None


def _token(api: Api, namespace: str, account: str, audience: str | None) -> str:
    spec = {"audiences": [audience]} if audience else {}
    answer = api._json(  # pyright: ignore[reportPrivateUsage]
        "POST",
        f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
        json={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
    )
    return str(answer["status"]["token"])


def _account(api: Api, namespace: str, name: str) -> None:
    metadata = {"name": name, "namespace": namespace}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def _as_vault_asks(bare: Bare) -> dict[str, Any]:
    """What Vault's own pod has by its chart, told to one outside: an account that may ask the API server about tokens."""
    with bare.api() as api:
        _account(api, "vault", "vault")
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "vault"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "vault", "namespace": "vault"}],
        }
        api.apply(binding)
        kubeconfig = yaml.safe_load(bare.layout.kubeconfig.read_text(encoding="utf-8"))
        return {
            "kubernetes_host": kubeconfig["clusters"][0]["cluster"]["server"],
            "kubernetes_ca_cert": (bare.layout.pki / "ca.crt").read_text(encoding="utf-8"),
            "token_reviewer_jwt": _token(api, "vault", "vault", None),
            "disable_local_ca_jwt": True,
        }


def _write(server: VaultServer, value: str) -> None:
    with server.as_root().client as client:
        Vault(client=client).put(PLACE, {"data": {"token": value}})


def _program(bare: Bare, name: str, kept: dict[str, Any]) -> Any:  # noqa: ANN401 - a stack
    config = {"kept": json.dumps(kept), "namespace": NAMESPACE, "kubeconfig": str(bare.layout.kubeconfig)}
    return bare.program(name, PROGRAM, config)


def _state(bare: Bare, name: str) -> str:
    files = [file for file in bare.layout.pulumi_state.rglob("*") if file.is_file() and name in file.name]
    assert files
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def _pulumi(bare: Bare, folder: Path, *arguments: str) -> str:
    """Return what `pulumi` prints for somebody who has the key and does not ask for secrets."""
    environment = {**os.environ, **pulumi_environment(bare.layout, tools())}
    command = [str(tools().bin("pulumi")), *arguments, "--non-interactive"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _found(value: str, text: str) -> list[str]:
    forms = {"plain": value, "base64": base64.b64encode(value.encode()).decode()}
    return [form for form, spelt in forms.items() if spelt in text]


def test_a_secret_of_the_stack_reaches_the_cluster_and_stays_encrypted_everywhere_else(bare: Bare) -> None:
    stack = _program(bare, "own", {"kind": "pulumi"})
    stack.stack.set_config("own:hub-token.token", auto.ConfigValue(OWN, secret=True))
    written: list[str] = []
    stack.stack.up(on_output=written.append, color="never")
    with bare.api() as api:
        assert _secret(api) == OWN
    outputs = cast("dict[str, auto.OutputValue]", stack.stack.outputs())
    # It can be read by whoever has the key, and is marked for everybody else.
    assert (outputs["hub-token.token"].value, outputs["hub-token.token"].secret) == (OWN, True)
    file = Path(stack.stack.workspace.work_dir) / "Pulumi.own.yaml"
    texts = {
        "state": _state(bare, "own"),
        "export": _pulumi(bare, file.parent, "stack", "export", "--stack", "own"),
        "outputs": _pulumi(bare, file.parent, "stack", "output", "--stack", "own"),
        "run": "\n".join(written),
        "stack file": file.read_text(encoding="utf-8"),
    }
    assert [name for name, text in texts.items() if _found(OWN, text)] == []
    assert "[secret]" in texts["run"]
    assert "[secret]" in texts["outputs"]
    stack.destroy()


def test_vault_is_told_all_of_it_once_and_says_what_lacks(delivered: Delivered) -> None:
    assert "audit device file: made" in delivered.told[0]
    assert {"mount kv: made, key-value version 2", "login kubernetes: made"} <= set(delivered.told)
    assert {"policy llm-prod-llm: written", "role llm-prod-llm: written"} <= set(delivered.told)
    assert delivered.told[-1].startswith("not there yet: llm-prod/llm/hub-token, keys token")
    with delivered.vault.as_root().client as client:
        again = _configure(
            Vault(client=client),
            delivered.kept.model_copy(update={"address": None}),
            delivered.vault.folder,
            {},
        )
    assert [line for line in again[:-1] if not line.endswith("unchanged")] == []


def test_what_vault_refuses_is_told_in_its_words_without_the_token(delivered: Delivered) -> None:
    vault = delivered.vault.as_nobody("not-a-token")
    with vault.client, pytest.raises(UserError, match="Vault refused GET sys/mounts") as refused:
        list(configure(vault, delivered.kept, (NEEDED,)))
    assert "not-a-token" not in str(refused.value)


def test_a_value_comes_from_vault_is_replaced_there_and_is_in_no_state_or_log(delivered: Delivered) -> None:
    bare, server = delivered.bare, delivered.vault
    _write(server, FIRST)
    stack = _program(bare, "from-vault", delivered.kept.model_dump(mode="json", exclude_none=True))
    # It ends when External Secrets says that the Secret is there.
    assert set(stack.up()) == {"create"}
    with bare.api() as api:
        assert _secret(api) == FIRST
        _write(server, SECOND)
        assert wait_until(lambda: _secret(api) == SECOND, seconds=ROTATION_SECONDS, every=1.0)
    assert set(stack.up()) == {"same"}
    texts = {
        "state": _state(bare, "from-vault"),
        "controller": delivered.controller_log.read_text(encoding="utf-8"),
        "vault": (server.folder / "vault.log").read_text(encoding="utf-8"),
        "audit": (server.folder / "audit.log").read_text(encoding="utf-8"),
    }
    for name, text in texts.items():
        assert (name, _found(FIRST, text) + _found(SECOND, text)) == (name, [])
    # Who read it stands there.
    assert PLACE in texts["audit"]
    assert f"system:serviceaccount:{NAMESPACE}:{READER}" in texts["audit"] or READER in texts["audit"]
    stack.destroy()
    with bare.api() as api:
        assert wait_until(lambda: _secret(api) is None, seconds=60.0)


def test_an_account_reads_its_own_namespace_s_secrets_and_no_other_account_does(
    delivered: Delivered,
) -> None:
    bare, server = delivered.bare, delivered.vault
    _write(server, FIRST)
    role = "llm-prod-llm"

    def log_in(namespace: str, account: str, audience: str | None) -> str | None:
        with bare.api() as api:
            _account(api, namespace, account)
            jwt = _token(api, namespace, account, audience)
        with server.as_nobody().client as client:
            answer = client.post("/v1/auth/kubernetes/login", json={"role": role, "jwt": jwt})
            return answer.json()["auth"]["client_token"] if answer.is_success else None

    assert log_in(OTHER, READER, AUDIENCE) is None
    assert log_in(NAMESPACE, "default", AUDIENCE) is None
    # A token that the API server takes is none for Vault.
    assert log_in(NAMESPACE, READER, None) is None
    token = log_in(NAMESPACE, READER, AUDIENCE)
    assert token is not None
    with server.as_nobody(token).client as client:
        assert client.get(f"/v1/{PLACE}").json()["data"]["data"] == {"token": FIRST}
        assert client.get("/v1/kv/data/llm-prod/rag/backups").status_code == 403
        assert client.request("LIST", "/v1/kv/metadata/llm-prod").status_code == 403
        assert client.post(f"/v1/{PLACE}", json={"data": {"token": "x"}}).status_code == 403
