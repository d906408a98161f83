"""How many builds run at once, what is shown of them, and why one failed."""

import fcntl
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from rehearsal.errors import UserError
from rehearsal.toolchain import cleaning, machine
from rehearsal.toolchain.build import Builder
from rehearsal.toolchain.children import Children
from rehearsal.toolchain.display import PlainLines, duration, shown
from rehearsal.toolchain.failure import reason_of
from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.job import Job, State
from rehearsal.toolchain.outputs import Output
from rehearsal.toolchain.places import Places, default_places
from rehearsal.toolchain.schedule import Capacity, run_jobs
from rehearsal.toolchain.table import tool_named


def job(name: str, *, memory_mib: int = 1000, seconds: int = 10) -> Job:
    tool = replace(tool_named("etcd"), name=name, memory_mib=memory_mib, seconds=seconds)
    return Job(output=Output(tool=tool, version="v1.0.0", folder=Path("/nowhere")), log=Path("/nowhere.log"))


@pytest.mark.parametrize(
    ("cores", "memory_mib", "taken_mib", "compilers"),
    [
        pytest.param(2, 8000, 0, 2, id="plenty"),
        pytest.param(2, 2000, 1000, 2, id="just enough"),
        pytest.param(2, 1800, 1000, 1, id="short: one compiler less"),
        pytest.param(2, 1700, 1000, None, id="too short: it waits"),
        pytest.param(2, 500, 0, 1, id="too short, but alone: it is tried"),
        pytest.param(8, 8000, 1000, 8, id="more cores, more compilers"),
        pytest.param(8, 3000, 1000, 6, id="as many compilers as memory allows"),
    ],
)
def test_compilers_follow_memory(cores: int, memory_mib: int, taken_mib: int, compilers: int | None) -> None:
    capacity = Capacity(cores=cores, memory_mib=memory_mib)
    assert capacity.compilers_for(job("one"), taken_mib) == compilers


@pytest.mark.parametrize(
    ("cores", "memory_mib", "limit_mib"),
    [
        pytest.param(2, 20_000, 3000, id="plenty: as much as the largest package uses"),
        pytest.param(2, 8000, 2000, id="a fair share"),
        pytest.param(2, 4000, None, id="little: the compiler stays thrifty"),
        pytest.param(16, 16_000, 2000, id="many cores: large packages are few"),
    ],
)
def test_compilers_skip_garbage_collection_where_memory_is_plenty(
    cores: int, memory_mib: int, limit_mib: int | None
) -> None:
    assert Capacity(cores=cores, memory_mib=memory_mib).compiler_memory_mib == limit_mib


class RecordingBuilder(Builder):
    """Builds nothing, and records the order and how many were under way."""

    order: list[str]

    def build(self, job: Job, *, compilers: int) -> None:
        """Note and end."""
        assert compilers >= 1
        self.order.append(job.tool.name)
        job.start()
        job.end(State.READY)


def test_the_longest_build_starts_first(tmp_path: Path) -> None:
    builder = RecordingBuilder(
        places=Places(project=tmp_path, cache=tmp_path),
        go=Go(binary=Path("go"), version="1", platform="linux/amd64"),
        children=Children(),
    )
    object.__setattr__(builder, "order", [])
    jobs = [job("short", seconds=1), job("long", seconds=9), job("middle", seconds=5)]
    with shown(Console(file=StringIO())) as display:
        run_jobs(jobs, builder, Capacity(cores=1, memory_mib=8000), display)
    assert builder.order == ["long", "middle", "short"]


def test_without_a_terminal_every_start_and_end_is_one_line() -> None:
    text = StringIO()
    lines = PlainLines(Console(file=text, width=40))
    one, two = job("one"), job("two")
    lines.update([one, two])
    one.start()
    one.state = State.COMPILING
    lines.update([one, two])
    lines.update([one, two])
    one.end(State.READY)
    lines.update([one, two])
    assert text.getvalue().splitlines() == [
        "tools: one v1.0.0: started",
        "tools: one v1.0.0: ready after 0 s (1 of 2)",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (754, "12 min 34 s")]
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("write /cache/x: no space left on device", "the disk is full"),
        ("OSError: [Errno 28] No space left on device: '/cache'", "the disk is full"),
        ('Get "https://proxy.test/x": dial tcp: lookup proxy.test: no such host', "proxy cannot be reached"),
        ('Get "https://proxy.test/x": net/http: TLS handshake timeout', "proxy cannot be reached"),
        ("verifying example.test/x: checksum mismatch", "go.sum pins"),
        ("compile: signal: killed", "memory ran out"),
        ("main.go:3:2: undefined: x", "the Go build failed"),
    ],
)
def test_the_cause_of_a_failure_is_said_in_words(line: str, words: str) -> None:
    assert words in reason_of(["go: downloading x", line])


@pytest.mark.parametrize(
    ("system", "processor", "platform"),
    [("linux", "x86_64", "linux/amd64"), ("linux", "aarch64", "linux/arm64")],
)
def test_supported_platforms(
    monkeypatch: pytest.MonkeyPatch, system: str, processor: str, platform: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    assert machine.go_platform() == platform


@pytest.mark.parametrize(("system", "processor"), [("darwin", "arm64"), ("linux", "riscv64")])
def test_other_platforms_are_refused_with_what_works_there(
    monkeypatch: pytest.MonkeyPatch, system: str, processor: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: processor)
    with pytest.raises(UserError, match="`vp check` and `vp render` work here"):
        machine.go_platform()


def test_a_container_s_memory_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo, limit, used = tmp_path / "meminfo", tmp_path / "max", tmp_path / "current"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable: 8192000 kB\n")
    used.write_text(str(1024 * 1024 * 1024))
    monkeypatch.setattr(machine, "_MEMINFO", meminfo)
    monkeypatch.setattr(machine, "_CGROUP_LIMIT", limit)
    monkeypatch.setattr(machine, "_CGROUP_USED", used)
    limit.write_text("max\n")
    assert machine.available_memory_mib() == 8000
    limit.write_text(f"{3 * 1024 * 1024 * 1024}\n")
    assert machine.available_memory_mib() == 2048


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({"VP_CACHE": "/own"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/vllm-platform"),
        ({"HOME": "/home/me"}, "/home/me/.cache/vllm-platform"),
    ],
)
def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], cache: str) -> None:
    for name in ("VP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_places().cache == Path(cache)


def test_cleaning_frees_what_only_a_build_needs(tmp_path: Path) -> None:
    places = Places(project=tmp_path, cache=tmp_path)
    for folder in (places.go_modules, places.go_build, places.outputs):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 10_000)
    assert cleaning.remove_go_caches(places) >= 20_000
    assert not places.go_modules.exists()
    assert not places.go_build.exists()
    assert (places.outputs / "file").exists()


def test_cleaning_waits_for_no_build_but_refuses_beside_one(tmp_path: Path) -> None:
    places = Places(project=tmp_path, cache=tmp_path)
    places.locks.mkdir()
    places.go_build.mkdir(parents=True)
    with (places.locks / "hello-0.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="under way"):
            cleaning.remove_go_caches(places)
    assert places.go_build.exists()
