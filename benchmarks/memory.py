"""Resident memory of processes, sampled while something runs."""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Final

import psutil

from benchmarks.machine import MEGABYTE
from rehearsal.cluster import lifecycle
from rehearsal.cluster.layout import ClusterLayout

_EVERY_SECONDS: Final = 0.2


def cluster_mb(layout: ClusterLayout) -> float:
    """Memory of a cluster's processes, in MB."""
    return _megabytes(_cluster(layout))


def rehearsal_mb(layout: ClusterLayout) -> float:
    """Memory of a cluster, of this process, and of all that it started (engine, provider, program), in MB."""
    own = psutil.Process()
    return _megabytes({own, *own.children(recursive=True), *_cluster(layout)})


class Peak:
    """The greatest of many samples. `mb` is final when `sampled` has ended."""

    mb: float = 0.0


@contextlib.contextmanager
def sampled(measure: Callable[[], float]) -> Generator[Peak]:
    """Take samples in a thread until the block ends."""
    peak, done = Peak(), threading.Event()

    def sample() -> None:
        while True:
            peak.mb = max(peak.mb, measure())
            if done.wait(_EVERY_SECONDS):
                return

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _cluster(layout: ClusterLayout) -> set[psutil.Process]:
    return {process for entry in lifecycle.status(layout).alive if (process := entry.find())}


def _megabytes(processes: Iterable[psutil.Process]) -> float:
    total = 0
    for process in processes:
        # It may end between the look and the question.
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / MEGABYTE
