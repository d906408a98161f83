"""What a check of `vp preflight` asks, and what comes out of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from settings.cluster import EksCluster
from settings.stack import Settings

Status = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The stack that is asked for. `cluster` is its cluster, of the one kind that is created; `now` has a time zone.

    resources: runs the stack's program and returns what it declares (fields of ops.recorder.Registration); takes seconds.
    """

    settings: Settings
    cluster: EksCluster
    now: datetime
    resources: Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was found. fix: what to do about it; None where there is nothing to do."""

    status: Status
    found: str
    fix: str | None = None


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question: what it is about, what is needed, and how to find out.

    look: may raise what `Aws.ask` raises; that becomes a finding, too.
    """

    subject: str
    needed: str
    look: Callable[[], Outcome]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to one question. check: the check that asked."""

    check: str
    subject: str
    status: Status
    found: str
    needed: str
    fix: str | None


def ok(found: str) -> Outcome:
    """Nothing to do."""
    return Outcome(status="ok", found=found)


def missing(found: str, fix: str) -> Outcome:
    """`pulumi up` would fail, or what it makes would not work."""
    return Outcome(status="missing", found=found, fix=fix)


def unknown(found: str, fix: str) -> Outcome:
    """AWS did not say."""
    return Outcome(status="unknown", found=found, fix=fix)
