"""Files of logs as a kubelet and a container runtime write them: one for each container, a prefix before each line."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

RUNTIME_BYTES: Final = 16 * 1024
"""Of one written line at most: the runtime cuts a longer one, and says so."""


@dataclass(frozen=True, kw_only=True)
class PodLog:
    """What one container of a pod has written. `root`: instead of /var/log/pods."""

    root: Path
    namespace: str
    pod: str
    container: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def file(self) -> Path:
        """The one that is written to."""
        return self.root / f"{self.namespace}_{self.pod}_{self.uid}" / self.container / "0.log"

    def write(self, lines: Iterable[str]) -> None:
        """Add lines. One with a line break in it is several, as for the runtime."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            for text in lines:
                for line in text.split("\n"):
                    file.writelines(_written(line))

    def rotate(self) -> None:
        """Put the file aside, as a kubelet does with one that is large."""
        self.file.rename(self.file.with_name(f"0.log.{datetime.now(UTC):%Y%m%d-%H%M%S}"))


def _written(line: str) -> Iterable[str]:
    parts = [line[start : start + RUNTIME_BYTES] for start in range(0, len(line), RUNTIME_BYTES)] or [""]
    for part in parts[:-1]:
        yield f"{_now()} stdout P {part}\n"
    yield f"{_now()} stdout F {parts[-1]}\n"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
