"""Runs many builds: longest first, as many at once as cores and memory allow, stopped together."""

import contextlib
import signal
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from rehearsal.toolchain.build import Builder
from rehearsal.toolchain.job import Job, State
from rehearsal.toolchain.machine import available_memory_mib, cores

_TICK_SECONDS = 0.25
# More builds at once only fight for the same cores.
_AT_ONCE = 4
# The rest is for what already runs here, and for estimates that are too low.
_SHARE_OF_MEMORY = 0.8
# Tool.memory_mib was measured with two compilers; each further one takes about so much.
_MEASURED_COMPILERS = 2
_MIB_PER_COMPILER = 250
# A compiler that need not collect garbage below some limit takes a quarter to a third less time (2026-11-22:
# 14.3 s became
# 9.0 s for the largest packages, 139 s became 104 s for all of etcd). Under the lower bound nothing is won,
# and beyond the upper one no package goes. Small packages never come near, so that not all compilers at once
# can matter.
_LEAST_COMPILER_MIB = 1500
_MOST_COMPILER_MIB = 3000
_LARGE_COMPILATIONS = 8


class Display(Protocol):
    """Shows how far the builds are."""

    def update(self, jobs: list[Job]) -> None:
        """Called several times a second."""
        ...


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the builds may take together.

    :param memory_mib: memory for all compilers.
    """

    cores: int
    memory_mib: int

    @property
    def at_once(self) -> int:
        """Builds at the same time, as far as cores go."""
        return min(self.cores, _AT_ONCE)

    @property
    def compiler_memory_mib(self) -> int | None:
        """Memory that one compiler may fill before it collects garbage; None where there is not enough to spare."""
        share = self.memory_mib // min(self.at_once * self.cores, _LARGE_COMPILATIONS)
        return None if share < _LEAST_COMPILER_MIB else min(share, _MOST_COMPILER_MIB)

    def compilers_for(self, job: Job, taken_mib: int) -> int | None:
        """Compilers that a build may run beside builds that take `taken_mib`; None when it has to wait.

        A build that stands alone always gets at least one, however little memory there is: it may work, and
        waiting would not help.
        """
        for compilers in range(self.cores, 0, -1):
            if taken_mib + needed_mib(job, compilers) <= self.memory_mib:
                return compilers
        return None if taken_mib else 1


def capacity_now() -> Capacity:
    """Of this machine, now."""
    return Capacity(cores=cores(), memory_mib=int(available_memory_mib() * _SHARE_OF_MEMORY))


def needed_mib(job: Job, compilers: int) -> int:
    """Memory that a build is expected to take."""
    return max(_MIB_PER_COMPILER, job.tool.memory_mib + (compilers - _MEASURED_COMPILERS) * _MIB_PER_COMPILER)


def run_jobs(jobs: list[Job], builder: Builder, capacity: Capacity, display: Display) -> None:
    """Build every job's tool. A build that fails does not stop the others: the outcomes stand in the jobs.

    :raises KeyboardInterrupt: Ctrl-C, or the process was told to end; every process that was started has
        ended by then.
    """
    waiting = sorted(jobs, key=lambda job: -job.tool.seconds)
    running: dict[threading.Thread, tuple[Job, int]] = {}
    with _ending_as_interrupt():
        try:
            while waiting or running:
                for thread in [thread for thread in running if not thread.is_alive()]:
                    del running[thread]
                _start(waiting, running, builder, capacity)
                display.update(jobs)
                time.sleep(_TICK_SECONDS)
        except BaseException:
            builder.children.stop()
            for thread in running:
                thread.join()
            for job in waiting:
                job.end(State.STOPPED)
            raise
        finally:
            display.update(jobs)


def _start(
    waiting: list[Job], running: dict[threading.Thread, tuple[Job, int]], builder: Builder, capacity: Capacity
) -> None:
    """Start what fits. A shorter build may overtake a longer one that memory keeps waiting."""
    for job in list(waiting):
        taken = sum(memory for _, memory in running.values())
        compilers = capacity.compilers_for(job, taken)
        if len(running) >= capacity.at_once or compilers is None:
            continue
        thread = threading.Thread(
            target=builder.build, args=(job,), kwargs={"compilers": compilers}, name=job.tool.name
        )
        thread.start()
        running[thread] = (job, needed_mib(job, compilers))
        waiting.remove(job)


@contextlib.contextmanager
def _ending_as_interrupt() -> Generator[None]:
    """A closed terminal or a `kill` stops the builds as Ctrl-C does, instead of leaving compilers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
