"""One collector that runs: started, ended in an orderly way or killed, and started again on what it kept."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rehearsal.cluster.launcher import http_ok
from rehearsal.collector.loopback import Place, on_loopback
from rehearsal.errors import UserError

_START_SECONDS: Final = 120
_END_SECONDS: Final = 60
_LAST_LINES: Final = 20


class Collector:
    """Runs in a `with`, at whose end it is stopped whatever happened.

    :param binary: of the tool `otelcol`.
    :param configuration: one of the program's.
    :param arguments: of the command line, as the chart gets them.
    """

    def __init__(
        self,
        binary: Path,
        configuration: Mapping[str, Any],
        place: Place,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.place = place
        self.log = place.folder / "otelcol.log"
        self._file = place.folder / "otelcol.yaml"
        place.folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(on_loopback(configuration, place)), encoding="utf-8")
        self._command = [str(binary), f"--config={self._file}", *arguments]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's number. Raises RuntimeError where it does not run."""
        if self._process is None:
            message = "the collector does not run"
            raise RuntimeError(message)
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it is healthy. Raises UserError with its last lines."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while not http_ok(self.place.ports.health, "/"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                last = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
                raise UserError("\n".join(["the collector did not start", *last]))
            time.sleep(0.1)

    def stop(self) -> None:
        """End it in an orderly way, as a kubelet does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_END_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End it without a chance to write anything down."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_END_SECONDS)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
