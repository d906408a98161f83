"""Says in words why a build failed, from the last lines it printed."""

import re
from dataclasses import dataclass
from pathlib import Path

_NETWORK = (
    r"dial tcp|no such host|connection refused|connection reset|i/o timeout|TLS handshake timeout"
    r"|proxyconnect|network is unreachable|name resolution|x509:|unexpected EOF|: 50[234] |GOPROXY=off"
)
_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"no space left on device|disk quota exceeded",
        "the disk is full (a first build needs about 15 GB in the cache folder)",
    ),
    (r"checksum mismatch|SECURITY ERROR", "a downloaded module is not the one that go.sum pins"),
    (r"missing go\.sum entry|updates to go\.mod needed", "go.mod and go.sum do not fit together"),
    (_NETWORK, "the Go module proxy cannot be reached (network, or GOPROXY / HTTPS_PROXY)"),
    (r"signal: killed|out of memory|cannot allocate memory", "memory ran out"),
)
_GENERAL = "the Go build failed"
_KEPT_LINES = 12


def reason_of(lines: list[str]) -> str:
    """The most likely cause in a few words."""
    text = "\n".join(lines)
    for pattern, words in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return words
    return _GENERAL


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One tool that could not be built.

    :param exit_code: of the Go command; None when it was not a command that failed.
    :param lines: what was printed last, without the names of packages.
    """

    tool: str
    exit_code: int | None
    lines: list[str]
    log: Path

    def text(self) -> str:
        """Cause, exit code, last lines and the log's place."""
        code = "" if self.exit_code is None else f" (exit code {self.exit_code})"
        shown = "\n".join(f"    | {line}" for line in self.lines[-_KEPT_LINES:])
        return f"  {self.tool}: {reason_of(self.lines)}{code}\n{shown}\n    log: {self.log}"


def failures_text(failures: list[Failure], total: int) -> str:
    """The one message after a build of `total` tools in which some failed."""
    names = ", ".join(failure.tool for failure in failures)
    details = "\n".join(failure.text() for failure in failures)
    return (
        f"{len(failures)} of {total} tools could not be built: {names}\n{details}\n"
        "What was built is kept: the next `make up` goes on from there."
    )
