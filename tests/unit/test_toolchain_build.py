"""Builds of real, tiny Go modules: kept by the hash of their inputs, built once, resumed, and failing in words."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.errors import UserError
from rehearsal.toolchain.build import Builder
from rehearsal.toolchain.children import Children
from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.job import Job, State
from rehearsal.toolchain.outputs import output_of
from tests.unit.toolchain_project import BAD_SOURCE, TinyProject, tiny_project

# Long enough for a slow machine; a test that needs it all has failed.
PATIENCE_SECONDS = 120.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_tool_leaves_out_what_its_tags_say(project: TinyProject) -> None:
    bare = '//go:build bare\n\npackage main\n\nfunc init() { version = "bare" }\n'
    tool = replace(project.add_tool("hello"), stamps=(), tags=("other", "bare"))
    (project.places.modules / "hello" / "bare.go").write_text(bare)
    built = project.build(tool).bin("hello")
    done = subprocess.run([str(built)], capture_output=True, text=True, check=True)
    assert done.stderr == "version bare\n"


def test_a_tool_is_built_stamped_and_linked_into_the_checkout(project: TinyProject) -> None:
    tool = project.add_tool("hello")
    project.build(tool)
    link = project.places.links / "hello"
    assert link.is_symlink()
    said = subprocess.run([str(link)], capture_output=True, text=True, check=True).stderr
    assert said == "version v1.2.3\n"


def test_a_second_call_and_a_second_checkout_build_nothing(project: TinyProject, tmp_path: Path) -> None:
    tool = project.add_tool("hello")
    project.build(tool)
    project.build(tool)
    clone = tiny_project(tmp_path / "clone", project.go, None)
    clone.add_tool("hello")
    places = replace(clone.places, cache=project.places.cache)
    replace(project, places=places).build(tool)
    assert project.builds() == 1
    assert (places.links / "hello").resolve() == (project.places.links / "hello").resolve()


def test_a_failing_tool_is_named_with_exit_code_log_and_next_step_and_the_others_are_built(
    project: TinyProject,
) -> None:
    bad, good = project.add_tool("bad", BAD_SOURCE), project.add_tool("good")
    with pytest.raises(UserError) as caught:
        project.build(bad, good)
    message = str(caught.value)
    assert "1 of 2 tools could not be built: bad" in message
    assert "exit code 1" in message
    assert "notDefined" in message
    log = project.places.logs / "bad.log"
    assert str(log) in message
    assert "notDefined" in log.read_text()
    assert "the next `make up` goes on from there" in message
    assert output_of(good, project.places, project.go).complete
    assert not output_of(bad, project.places, project.go).complete


def test_after_a_repair_only_the_failed_tool_is_built(project: TinyProject) -> None:
    bad, good = project.add_tool("bad", BAD_SOURCE), project.add_tool("good")
    with pytest.raises(UserError):
        project.build(bad, good)
    (project.places.modules / "bad" / "main.go").write_text("package main\n\nfunc main() {}\n")
    before = project.builds()
    project.build(bad, good)
    assert project.builds() == before + 1


def test_two_builds_of_one_tool_at_once_build_it_once(project: TinyProject) -> None:
    tool = project.add_tool("hello")
    jobs: list[Job] = []
    threads: list[threading.Thread] = []
    for _ in range(2):
        builder = Builder(places=project.places, go=project.go, children=Children())
        job = Job(output=output_of(tool, project.places, project.go), log=project.places.logs / "hello.log")
        jobs.append(job)
        threads.append(threading.Thread(target=builder.build, args=(job,), kwargs={"compilers": 1}))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert [job.state for job in jobs] == [State.READY, State.READY]
    assert project.builds() == 1


def test_two_processes_at_once_end_well(project: TinyProject) -> None:
    project.add_tool("hello")
    processes = [subprocess.Popen(project.command("hello")) for _ in range(2)]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
    assert (project.places.links / "hello").exists()


def test_what_a_killed_build_left_behind_is_removed_by_the_next(project: TinyProject) -> None:
    tool = project.add_tool("hello")
    output = output_of(tool, project.places, project.go)
    stale = output.folder.parent / f".{output.folder.name}.12345"
    stale.mkdir(parents=True)
    project.build(tool)
    assert not stale.exists()
    assert [path.name for path in output.folder.parent.iterdir()] == [output.folder.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])
def test_an_interruption_leaves_no_process_and_the_next_call_goes_on(
    tmp_path: Path, go: Go, number: signal.Signals
) -> None:
    # An empty cache: the compiler has Go's own library to compile, so the signal always meets it at work.
    project = tiny_project(tmp_path, go, None)
    project.add_tool("hello")
    log = project.places.logs / "hello.log"
    process = subprocess.Popen(project.command("hello"), stdout=subprocess.DEVNULL)
    wait_for(lambda: log.exists() and "\nruntime\n" in log.read_text())
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == 130
    assert processes_in(tmp_path) == []
    assert list(project.places.outputs.iterdir()) == []
    assert subprocess.run(project.command("hello"), check=False).returncode == 0
    assert "runtime/internal/sys\n" not in log.read_text(), "what was compiled before is not compiled again"


def processes_in(folder: Path) -> list[str]:
    """Command lines, of any process, that name a folder."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if os.fsencode(folder) in command:
            found.append(command.decode(errors="replace"))
    return found
