"""What `vp promote` and `vp rollback` ask for, brought together."""

from pathlib import Path

from ops.promotion.promote import CRANE, Promoter, Side
from ops.promotion.registry import Registries
from ops.promotion.rollback import Rollback
from ops.rollout.place import place_of
from ops.rollout.view import output_console
from rehearsal.errors import UserError
from rehearsal.toolchain import ensure_tools
from settings.registry import Image

LEAST_REASON = 10
"""Characters: a reviewer reads it."""


def promote(
    source: str,
    target: str,
    root: Path,
    *,
    check: bool,
    rehearsal: bool,
    prometheus: str | None,
    without_objectives: str | None,
) -> int:
    """Promote, or only compare. Returns the exit status; raises UserError and SettingsError."""
    if without_objectives is not None and len(without_objectives.strip()) < LEAST_REASON:
        raise UserError(
            f"--without-objectives {without_objectives!r}: nobody could tell from it why.\n"
            "fix: write a sentence; it stands in the release notes"
        )
    console = output_console()
    side = Side.of(root, source)
    promoter = Promoter(
        root=root,
        source=side,
        target=Side.of(root, target),
        place=place_of(source, root, console, side.settings, rehearsal=rehearsal),
        console=console,
        rehearsal=rehearsal,
        prometheus=prometheus,
        unasked=None if without_objectives is None else without_objectives.strip(),
    )
    return promoter.check() if check else promoter.run()


def rollback(stack: str, root: Path, *, at_once: bool, rehearsal: bool) -> int:
    """Go back. Returns the exit status; raises UserError and SettingsError."""
    console = output_console()
    side = Side.of(root, stack)
    place = place_of(stack, root, console, side.settings, rehearsal=rehearsal)
    host = side.settings.registry.host

    def digest_of(image: Image) -> str | None:
        crane = ensure_tools([CRANE], console).bin(CRANE)
        return Registries(crane=crane, source=host, target=host).digest_of(image)

    return Rollback(
        root=root,
        stack=stack,
        place=place,
        console=console,
        digest_of=None if rehearsal else digest_of,
    ).run(at_once=at_once)
