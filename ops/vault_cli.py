"""`vp vault`: what a stack's Vault is told, shown and set."""

import os
from typing import Annotated

import typer

from ops.vault import AUDIT_FILE, connect
from ops.vault import configure as run
from rehearsal.errors import UserError
from rehearsal.project import project_root
from settings.loader import load_stack_file
from settings.needed_secrets import NeededSecret
from settings.secrets import VaultSecrets
from settings.vault_rules import vault_rules

app = typer.Typer(no_args_is_help=True, help="What a stack's Vault is told: who may read which secret.")

Stack = Annotated[str, typer.Argument(help="Stack: STACK in Pulumi.STACK.yaml.", show_default=False)]


@app.command()
def show(stack: Stack) -> None:
    """Print policies and roles, for whoever sets them in another way."""
    kept, needed = _of(stack)
    for rule in vault_rules(kept, needed):
        typer.echo(f"# policy {rule.name}\n{rule.policy(kept.mount)}# role {rule.name}")
        typer.echo("".join(f"#   {key}: {value}\n" for key, value in rule.role().items()))


@app.command()
def configure(
    stack: Stack,
    audit_file: Annotated[str, typer.Option(help="File of the audit log, as Vault sees it.")] = AUDIT_FILE,
) -> None:
    """Set audit, mounts, policies and roles in the Vault of VAULT_ADDR, with VAULT_TOKEN; say which secrets lack."""
    kept, needed = _of(stack)
    vault = connect(os.environ)
    with vault.client:
        for line in run(vault, kept, needed, audit_file=audit_file):
            typer.echo(line)


def _of(stack: str) -> tuple[VaultSecrets, tuple[NeededSecret, ...]]:
    settings = load_stack_file(project_root() / f"Pulumi.{stack}.yaml")
    if not isinstance(settings.secrets, VaultSecrets):
        raise UserError(f"the secrets of {stack} are of kind {settings.secrets.kind}: it has no Vault")
    return settings.secrets, settings.needed_secrets
