"""Where a run of Pulumi keeps its state and what encrypts its secrets, compared with what the stack says of both.

Pulumi tells a program neither. Both are read where the engine itself reads them, from what is handed in here: so
this file asks neither the environment nor the disk for anything that a test could not make up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

from settings import Problem, stack_yaml
from settings.state import State

# Query parameters that make another place of the same bucket name; the others (profile, SDK version) do not.
PLACE_PARAMETERS: Final = ("endpoint", "storage_account", "domain")
# Of a URL nothing else is shown: parameters can hold credentials.
SHOWN_PARAMETERS: Final = ("region", "endpoint")
SERVICE_KEY: Final = "the key of Pulumi Cloud"
CHANGE_KEY: Final = "`pulumi stack change-secrets-provider '{}'`"
PASSPHRASE: Final = "passphrase"  # noqa: S105 - the kind of key, not one


@dataclass(frozen=True, kw_only=True)
class PulumiRun:
    """What the engine reads: its environment, the folder of Pulumi.yaml, and the home folder of whoever runs it."""

    environment: Mapping[str, str]
    folder: Path
    home: Path


@dataclass(frozen=True, kw_only=True)
class Found:
    """A URL and where it is written. fix: how to change it there, with `{}` for the URL that should be."""

    url: str
    source: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class StateComparison:
    """problems: state or secrets would go elsewhere. warnings: what could not be found out, in words."""

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def compare_state(state: State, stack: str, run: PulumiRun) -> StateComparison:
    """Compare a run's backend and secrets provider with the stack's own `state`."""
    problems: list[Problem] = []
    warnings: list[str] = []
    backend = actual_backend(run)
    if backend is None:
        warnings.append("can not find out where Pulumi keeps this run's state: no login of it is found")
    elif place(backend.url, run) != place(state.backend, run):
        reason = f"Pulumi would keep this run's state in {shown(backend.url)}, as {backend.source} says"
        problems.append(_problem("state.backend", state.backend, reason, backend))

    secrets = actual_secrets_provider(stack, run, backend)
    if secrets is None:
        warnings.append(
            f"can not find out what encrypts this stack's secrets: Pulumi.{stack}.yaml does not say"
        )
    else:
        same = same_key(state.secrets_provider, secrets.url)
        if same is None:
            warnings.append(
                f"can not find out whether {shown(secrets.url)} is {shown(state.secrets_provider)}: "
                f"write both the same way, in {secrets.source} and in state.secrets_provider"
            )
        elif not same:
            reason = f"this stack's secrets are encrypted with {shown(secrets.url)}, as {secrets.source} says"
            problems.append(_problem("state.secrets_provider", state.secrets_provider, reason, secrets))
    return StateComparison(problems=tuple(problems), warnings=tuple(warnings))


def actual_backend(run: PulumiRun) -> Found | None:
    """Return the backend that the engine takes, in its own order: variable, project file, login. None for no login."""
    url = run.environment.get("PULUMI_BACKEND_URL")
    if url:
        return Found(
            url=url,
            source="the variable PULUMI_BACKEND_URL",
            fix="unset PULUMI_BACKEND_URL, or set it to '{}'",
        )
    project = _document(run.folder / "Pulumi.yaml")
    backend = project.get("backend")
    url = cast("dict[str, Any]", backend).get("url") if isinstance(backend, dict) else None
    if isinstance(url, str) and url:
        return Found(
            url=url,
            source="backend.url in Pulumi.yaml",
            fix="remove `backend` from Pulumi.yaml, or write '{}' there",
        )
    home = run.environment.get("PULUMI_HOME") or str(run.home / ".pulumi")
    folder = Path(run.environment.get("PULUMI_CREDENTIALS_PATH") or home)
    url = _document(folder / "credentials.json", as_json=True).get("current")
    if not isinstance(url, str) or not url:
        return None
    return Found(url=url, source="the last `pulumi login`", fix="`pulumi login '{}'`")


def actual_secrets_provider(stack: str, run: PulumiRun, backend: Found | None) -> Found | None:
    """Return what the stack file says of the key. None where it says nothing and the engine asks its state."""
    name = f"Pulumi.{stack}.yaml"
    document = _document(run.folder / name)
    provider = document.get("secretsprovider")
    if isinstance(provider, str) and provider not in {"", "default", PASSPHRASE}:
        return Found(url=provider, source=f"secretsprovider in {name}", fix=CHANGE_KEY)
    if document.get("encryptionsalt") or provider == PASSPHRASE:
        return Found(url=PASSPHRASE, source=f"encryptionsalt in {name}", fix=CHANGE_KEY)
    if backend is not None and backend.url.startswith("https://"):
        return Found(url=SERVICE_KEY, source=f"{name}, which names none", fix=CHANGE_KEY)
    return None


def place(url: str, run: PulumiRun) -> tuple[str, ...]:
    """Return what tells one backend from another: two URLs of one place may differ in region, profile and slashes."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = parts.netloc + parts.path
        if path.startswith("~"):
            return "file", str(run.home / path[1:].strip("/"))
        return "file", str(run.folder / path)
    query = parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2].lower()
    extra = (f"{key}={query[key][-1]}" for key in PLACE_PARAMETERS if key in query)
    return (parts.scheme, host, parts.path.strip("/"), *extra)


def same_key(wanted: str, actual: str) -> bool | None:
    """Tell whether two secrets providers are one key; None where only AWS could tell (an alias and a key's id)."""
    if wanted == actual:
        return True
    kinds = {url.partition("://")[0] for url in (wanted, actual)}
    if kinds != {"awskms"}:
        bare = [url.partition("?")[0].rstrip("/") for url in (wanted, actual)]
        return len(kinds) == 1 and bare[0] == bare[1]
    (key, region), (other_key, other_region) = _kms_key(wanted), _kms_key(actual)
    if region and other_region and region != other_region:
        return False
    if key == other_key:
        return True if region == other_region else None
    # Only two aliases, or two ids, differ for certain.
    return False if key.startswith("alias/") == other_key.startswith("alias/") else None


def shown(url: str) -> str:
    """Write a URL for people: without user, password and parameters that may hold a credential."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    query = parse_qs(parts.query)
    kept = "&".join(f"{key}={query[key][-1]}" for key in SHOWN_PARAMETERS if key in query)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' if kept else ''}{kept}"


def _problem(path: str, wanted: str, reason: str, found: Found) -> Problem:
    return Problem(path, wanted, reason, f"{found.fix.format(wanted)}; see docs/state.md")


def _kms_key(url: str) -> tuple[str, str]:
    """Return the key of an awskms URL, `alias/NAME` or an id, and its region, empty where it is not said."""
    parts = urlsplit(url)
    region = parse_qs(parts.query).get("region", [""])[-1]
    key = (parts.netloc + parts.path).strip("/")
    if key.startswith("arn:"):
        fields = key.split(":", maxsplit=5)
        if len(fields) == len(("arn", "partition", "kms", "region", "account", "resource")):
            return fields[5].removeprefix("key/"), region or fields[3]
    return key, region


def _document(path: Path, *, as_json: bool = False) -> dict[str, Any]:
    """Read a file of the engine's; what can not be read says nothing, and the engine itself will complain."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if as_json else stack_yaml.load(text)
    except (OSError, *stack_yaml.YAML_ERRORS):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}
