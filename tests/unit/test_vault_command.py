"""`vp vault` without a Vault: what is shown, and what is said where something lacks. With one: tests/rehearsal/test_secret_delivery.py."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ops.vault import connect
from rehearsal.errors import UserError
from tests.made_stacks import EVERYTHING, made_stack

pytestmark = pytest.mark.unit

SECRETS: Final = {"kind": "vault", "prefix": "llm-prod"}


def _vp(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.prefix) / "bin" / "vp"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    return made_stack(root, tmp_path, "made", "prod", {**EVERYTHING, "secrets": SECRETS})


def test_policies_and_roles_are_shown_as_vault_takes_them(folder: Path) -> None:
    shown = _vp(folder, "vault", "show", "made")
    assert shown.returncode == 0, shown.stderr
    assert 'path "secret/data/llm-prod/monitoring/grafana-admin" {' in shown.stdout
    assert "# role llm-prod-monitoring" in shown.stdout
    assert "bound_service_account_namespaces: ['monitoring']" in shown.stdout


def test_what_a_stack_without_a_vault_is_told(root: Path) -> None:
    told = _vp(root, "vault", "show", "prod")
    assert told.returncode != 0
    assert "the secrets of prod are of kind aws: it has no Vault" in told.stderr


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "set VAULT_ADDR and VAULT_TOKEN"),
        ({"VAULT_ADDR": "https://localhost:8200"}, "set VAULT_TOKEN"),
        (
            {"VAULT_ADDR": "https://localhost:8200", "VAULT_TOKEN": "t", "VAULT_CACERT": "/nowhere"},
            "VAULT_CACERT: /nowhere can not be read",
        ),
    ],
)
def test_what_lacks_in_the_shell_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        connect(environment)
