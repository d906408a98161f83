"""Builds one tool so that nothing half-built is ever seen and no two processes build the same.

The work goes on in a folder beside the final one, which is renamed into place when it is complete. What an
interrupted build leaves is Go's own cache of compiled packages, and the next build goes on from that.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Generator
from dataclasses import dataclass

from rehearsal.toolchain.children import Children, StoppedError
from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.job import Job, State
from rehearsal.toolchain.places import Places
from rehearsal.toolchain.steps import GoCommandError, Steps

_LOCK_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Builds tools with one compiler into one cache.

    :param compiler_memory_mib: see `Go.environment`.
    """

    places: Places
    go: Go
    children: Children
    compiler_memory_mib: int | None = None

    def build(self, job: Job, *, compilers: int) -> None:
        """Build a job's tool, unless another process finishes it first.

        Never raises: the outcome stands in the job.

        :param compilers: processes that `go build` may run at once.
        """
        job.start()
        try:
            with self._locked(job):
                if not job.output.complete:
                    self._build(job, compilers)
            job.end(State.READY)
        except StoppedError:
            job.end(State.STOPPED)
        except GoCommandError as error:
            job.fail(error.exit_code)
        except Exception as error:  # noqa: BLE001 - last resort: one tool's trouble must not hide the others
            job.note(f"{type(error).__name__}: {error}")
            job.fail(None)

    @contextlib.contextmanager
    def _locked(self, job: Job) -> Generator[None]:
        """Hold the lock of this tool and hash. The kernel frees it when the holder dies: none goes stale."""
        self.places.locks.mkdir(parents=True, exist_ok=True)
        with (self.places.locks / f"{job.output.folder.name}.lock").open("w", encoding="utf-8") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    job.state = State.LOCKED
                    self.children.pause(_LOCK_POLL_SECONDS)
            yield

    def _build(self, job: Job, compilers: int) -> None:
        final = job.output.folder
        final.parent.mkdir(parents=True, exist_ok=True)
        # The lock is ours, so whatever carries this prefix was left by a process that was killed.
        for stale in final.parent.glob(f".{final.name}.*"):
            shutil.rmtree(stale, ignore_errors=True)
        work = final.parent / f".{final.name}.{os.getpid()}"
        scratch = work / "scratch"
        scratch.mkdir(parents=True)
        self.places.logs.mkdir(parents=True, exist_ok=True)
        try:
            with job.log.open("w", encoding="utf-8", buffering=1) as log:
                steps = Steps(
                    job=job,
                    go=self.go,
                    children=self.children,
                    places=self.places,
                    environment=self.go.environment(self.places, scratch, self.compiler_memory_mib),
                    work=work,
                    log=log,
                )
                result = steps.run(compilers)
            # Left without a manifest by something other than us; it would be in the way of the rename.
            shutil.rmtree(final, ignore_errors=True)
            result.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
