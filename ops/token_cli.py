"""`vp token`: test tokens for stacks of `dev`, and the keys that sign them."""

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from typer.core import TyperGroup

from ops.token import LONGEST_MINUTES
from ops.token import mint as minted
from ops.token_keys import new_key, private_half, public_half, read_private, write_private
from rehearsal.project import project_root
from settings import load_stack_file

_MINT: Final = "mint"


class _StackOrCommand(TyperGroup):
    """`vp token STACK` is `vp token mint STACK`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - of click, which Typer brings along
        """Take what is no command for a stack's name."""
        return super().resolve_command(ctx, args if args[0] in self.commands else [_MINT, *args])


app = typer.Typer(
    cls=_StackOrCommand,
    no_args_is_help=True,
    help="Test tokens for stacks of `dev`: vp token STACK --consumer NAME.",
)


@app.command(_MINT)
def mint(
    stack: Annotated[str, typer.Argument(help="Stack: STACK in Pulumi.STACK.yaml.", show_default=False)],
    *,
    consumer: Annotated[str, typer.Option(help="Who calls.", show_default=False)],
    key: Annotated[
        Path,
        typer.Option(metavar="FILE", envvar="VP_TOKEN_KEY", help="The private key.", show_default=False),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="A model that the consumer must be allowed to call.", show_default=False),
    ] = None,
    minutes: Annotated[int, typer.Option(min=1, max=LONGEST_MINUTES, help="How long it is good.")] = 60,
) -> None:
    """Print a token for a consumer of a stack of `dev` (also: vp token STACK)."""
    settings = load_stack_file(project_root() / f"Pulumi.{stack}.yaml")
    typer.echo(
        minted(settings, read_private(key), consumer, minutes=minutes, now=int(time.time()), model=model)
    )


@app.command()
def keys(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the private half goes; stdout when left out.", show_default=False
        ),
    ] = None,
) -> None:
    """Make a key pair: the private half for you, the public half for the stack file."""
    key = new_key()
    text = yaml.safe_dump([public_half(key)], default_flow_style=True, sort_keys=False, width=1000)
    if out is None:
        typer.echo(private_half(key), nl=False)
        typer.echo(f"keys: {{kind: local, keys: {text.strip()}}}", err=True)
        return
    write_private(key, out)
    typer.echo(f"keys: {{kind: local, keys: {text.strip()}}}")
