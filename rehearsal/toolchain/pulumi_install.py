"""Which pulumi is used: the user's own where it fits, else ours, with a PULUMI_HOME of its own."""

import fcntl
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rehearsal.errors import UserError
from rehearsal.toolchain.outputs import Output
from rehearsal.toolchain.places import Places

FORCE_VARIABLE = "VP_PULUMI"
LANGUAGE_HOST = "pulumi-language-python"
# The oldest CLI that the program was tried with, and the first that may break it.
_OLDEST = (3, 220, 0)
_TOO_NEW = (4, 0, 0)
_VERSION_TIMEOUT_SECONDS = 20.0
_MARKER = "kubernetes-plugin-from"


@dataclass(frozen=True, kw_only=True)
class PulumiInstall:
    """The pulumi to use.

    :param path: the program; where it is built here, a link that may not exist before the build.
    :param built: it is the one that is built here; otherwise plugins come the normal way.
    :param note: why a pulumi on PATH is not used; empty when there is nothing to say.
    """

    path: Path
    built: bool
    note: str = ""


def pulumi_command(places: Places) -> PulumiInstall:
    """The user's own pulumi where it fits (3.220.0 or later, below 4, with its language host), else ours.

    $VP_PULUMI decides instead where it is set: `built` or `system`.

    :raises UserError: `system` was asked for and there is no fitting one, or the variable has another value.
    """
    ours = places.links / "pulumi"
    wish = os.environ.get(FORCE_VARIABLE, "")
    if wish not in {"", "built", "system"}:
        raise UserError(f"{FORCE_VARIABLE}={wish} is not known: use `built` or `system`, or unset it.")
    if wish == "built":
        return PulumiInstall(path=ours, built=True)
    found = _on_path(places)
    reason = "there is no pulumi on PATH" if found is None else _why_not(found)
    if found is not None and not reason:
        return PulumiInstall(path=found, built=False)
    if wish == "system":
        advice = f"Install Pulumi {_text(_OLDEST)} or later, or unset {FORCE_VARIABLE}."
        raise UserError(f"{FORCE_VARIABLE}=system: {reason}. {advice}")
    return PulumiInstall(path=ours, built=True, note="" if found is None else reason)


def install_kubernetes_plugin(
    pulumi: Path, provider: Output, places: Places, environment: dict[str, str]
) -> None:
    """Put the provider that was built here into our PULUMI_HOME, unless that very build is there already.

    :param pulumi: the CLI that was built here.
    :param environment: for the CLI; PULUMI_HOME must be ours.
    :raises UserError: the CLI refuses it.
    """
    binary = provider.binaries / provider.tool.binaries[0].name
    plugin = places.pulumi_home / "plugins" / f"resource-kubernetes-{provider.version}"
    marker = places.pulumi_home / _MARKER
    places.pulumi_home.mkdir(parents=True, exist_ok=True)
    with (places.pulumi_home / ".vp-lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = (plugin / binary.name).is_file() and marker.is_file()
        if there and marker.read_text(encoding="utf-8") == provider.folder.name:
            return
        command = [
            pulumi,
            "plugin",
            "install",
            "resource",
            "kubernetes",
            provider.version,
            "--file",
            binary,
            "--reinstall",
        ]
        done = subprocess.run(
            [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".rstrip()
            raise UserError(f"pulumi plugin install failed with exit code {done.returncode}:\n{said}")
        marker.write_text(provider.folder.name, encoding="utf-8")


def _on_path(places: Places) -> Path | None:
    """A pulumi that is not one of ours (of this checkout or of another)."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = shutil.which("pulumi", path=folder) if folder else None
        if candidate is not None and not Path(candidate).resolve().is_relative_to(places.outputs.resolve()):
            return Path(candidate)
    return None


def _why_not(pulumi: Path) -> str:
    """Why a pulumi cannot be used; empty when it can."""
    version = _version(pulumi)
    if version is None:
        return f"{pulumi} does not tell its version"
    if not _OLDEST <= version < _TOO_NEW:
        needed = f"{_text(_OLDEST)} or later is needed, below {_text(_TOO_NEW)}"
        return f"{pulumi} is version {_text(version)}; {needed}"
    if not any((folder / LANGUAGE_HOST).exists() for folder in (pulumi.parent, pulumi.resolve().parent)):
        return f"{pulumi} has no {LANGUAGE_HOST} beside it"
    return ""


def _version(pulumi: Path) -> tuple[int, int, int] | None:
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [str(pulumi), "version"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer.stdout.strip())
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)
