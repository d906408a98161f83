"""Each module of this folder runs in network, mount and process namespaces of its own; its tests are reported as if they ran here.

A second pytest runs the module inside and hands every report out through a pipe. What the tests start listens on the
addresses of that network only, mounts over nothing of the machine's, and is gone when that pytest ends, however it ends: the
first process of a namespace of processes takes the others along.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import pytest

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SECONDS: Final = 1200.0
"""Of one module, with the machine's cores shared with other tests."""
# The first word ends the second one, and that everything inside, where this process is killed.
NAMESPACES: Final = (
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
AS_ROOT: Final = () if os.geteuid() == 0 else ("--map-root-user",)
# Set inside: the file descriptor that reports are written to.
_REPORTS: Final = "VP_TEST_REPORTS"
_RUNS: Final = pytest.StashKey[dict[str, "_Run"]]()
_TAIL_LINES: Final = 60


def inside() -> bool:
    """Whether this process is the one in the namespaces."""
    return _REPORTS in os.environ


@cache
def refusal() -> str:
    """Return why this machine can not run these tests, or nothing."""
    if REPOSITORY.is_relative_to("/tmp"):  # noqa: S108 - nothing is written there
        return "the /tmp of a pod's own hides a checkout below /tmp: clone it elsewhere"
    for program, package in (("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            return f"{program} ({package}) is not here"
    # Links between networks are what a container without rights can not make.
    links = "ip link set lo up && ip link add one type veth peer name two"
    probe = subprocess.run(
        [*NAMESPACES, *AS_ROOT, "sh", "-c", links], capture_output=True, text=True, check=False
    )
    return f"this machine lets nobody make networks: {probe.stderr.strip()}" if probe.returncode else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Run an item inside, and report here what it reports there."""
    if inside():
        return None
    if why := refusal():
        item.add_marker(pytest.mark.skip(reason=why))
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _run_of(item).reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Inside: hand a report out."""
    report = yield
    if inside():
        data = item.config.hook.pytest_report_to_serializable(config=item.config, report=report)
        os.write(int(os.environ[_REPORTS]), json.dumps(data).encode() + b"\n")
    return report


def _run_of(item: pytest.Item) -> "_Run":
    runs = item.config.stash.setdefault(_RUNS, {})
    module = item.nodeid.split("::")[0]
    if module not in runs:
        wanted = [each.nodeid for each in item.session.items if each.nodeid.split("::")[0] == module]
        runs[module] = _Run(wanted)
        item.config.add_cleanup(runs[module].stop)
    return runs[module]


class _Run:
    """The pytest inside, for one module."""

    def __init__(self, nodeids: Sequence[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vp-gateway-"))
        self._output = self._folder / "output.txt"
        self._deadline = time.monotonic() + SECONDS
        self._pipe, theirs = os.pipe()
        self._unread = b""
        self._waiting: defaultdict[str, list[Any]] = defaultdict(list)
        self._failed = False
        options = ["-q", "-p", "no:cacheprovider", f"--basetemp={self._folder / 'inside'}"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        with self._output.open("wb") as written:
            self._process = subprocess.Popen(
                [*NAMESPACES, *AS_ROOT, sys.executable, "-m", "pytest", *options, *nodeids],
                cwd=REPOSITORY,
                env=kept | {_REPORTS: str(theirs)},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
                # Ctrl-C at the terminal ends the tests here, and they this one.
                start_new_session=True,
            )
        os.close(theirs)

    def reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        """Yield the reports of one item, as they come."""
        while True:
            while self._waiting[item.nodeid]:
                data = self._waiting[item.nodeid].pop(0)
                report = cast(
                    "pytest.TestReport",
                    item.config.hook.pytest_report_from_serializable(config=item.config, data=data),
                )
                if isinstance(report.longrepr, list):
                    # Where and why one was skipped: JSON knows no tuples.
                    report.longrepr = cast("tuple[str, int, str]", tuple(cast("list[Any]", report.longrepr)))
                self._failed |= report.failed
                yield report
                if report.when == "teardown":
                    return
            if not self._read():
                self._failed = True
                yield self._lost(item)
                return

    def _read(self) -> bool:
        """Read some reports. False when there will be no more."""
        ready, _, _ = select.select([self._pipe], [], [], max(0.0, self._deadline - time.monotonic()))
        piece = os.read(self._pipe, 65536) if ready else b""
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            data = json.loads(line)
            self._waiting[data["nodeid"]].append(data)
        return bool(piece)

    def _lost(self, item: pytest.Item) -> pytest.TestReport:
        self.stop()
        tail = "\n".join(self._output.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=f"the tests inside ended without a report of this one (status {self._process.returncode}):\n{tail}",
            when="call",
        )

    def stop(self) -> None:
        """End what is left of it. The logs of a run that failed stay."""
        if self._process.poll() is None:
            self._read_out()
            self._process.kill()
            self._process.wait()
        if self._folder.exists() and not self._failed:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _read_out(self) -> None:
        """Let it finish by itself where its last report is out already: fixtures still take things down."""
        if time.monotonic() < self._deadline and not self._failed:
            while self._read():
                pass
