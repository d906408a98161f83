"""The shared directory of weights: real processes fill it, are killed, find it full; readers see a whole model or none."""

import errno
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Self

import pytest
import weight_cache
from weight_cache import INCOMING, fault, fill
from weight_layers import MANIFEST, Damaged, Refused, manifest

from tests.unit.cache_filler import FolderSource
from tests.unit.toolchain_project import ROOT

pytestmark = pytest.mark.unit

PLACE: Final = "Owner/Name/0123456789abcdef0123456789abcdef01234567"
FILES: Final = {
    "config.json": b"{}",
    "1_Pooling/config.json": b'{"pooling": 1}',
    **{f"model-{number}-of-6.safetensors": bytes([number]) * 2_000_000 for number in range(1, 7)},
}
SLOW: Final = "0.1"
END_SECONDS: Final = 60
COMMAND: Final = (sys.executable, str(ROOT / "tests" / "unit" / "cache_filler.py"))
ENVIRONMENT: Final = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "docker" / "vllm")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the source has."""
    for path, content in FILES.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(content)
    return tmp_path / "source"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The shared directory."""
    (tmp_path / "claim").mkdir()
    return tmp_path / "claim"


class Filler:
    """A process that fills. `lines` are what it prints."""

    def __init__(self, root: Path, folder: Path, seconds: str) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, str(root), PLACE, str(folder), seconds],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, words: str) -> str:
        """Read on to a line with these words."""
        assert self._process.stdout is not None
        read: list[str] = []
        for line in self._process.stdout:
            if words in line:
                return line
            read.append(line)
        pytest.fail(f"no line with {words!r} in {read}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def terminate(self) -> int:
        self._process.terminate()
        return self.end()[0]

    def end(self) -> tuple[int, str]:
        """Return its exit code and its last line."""
        printed, _ = self._process.communicate(timeout=END_SECONDS)
        return self._process.returncode, (printed.splitlines() or [""])[-1]


@pytest.fixture
def fillers() -> Iterator[list[Filler]]:
    """Those that a test starts; none outlives it."""
    started: list[Filler] = []
    yield started
    for filler in started:
        filler.kill()


def _start(fillers: list[Filler], root: Path, folder: Path, seconds: str = SLOW) -> Filler:
    fillers.append(Filler(root, folder, seconds))
    return fillers[-1]


def _content(target: Path) -> dict[str, bytes]:
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def _whole() -> dict[str, bytes]:
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}
    return {**FILES, MANIFEST: manifest(sums).encode()}


def _sizes() -> dict[str, int]:
    return {path: len(content) for path, content in _whole().items()}


def _left(root: Path) -> set[str]:
    """What lies beside the models, but for the file of the lock."""
    return {path.name for path in (root / INCOMING).iterdir()} - {f"{PLACE.replace('/', '--')}.lock"}


class Readers:
    """Looks at the place again and again, as starting engines would, until it is left. `seen`: files and their sizes."""

    def __init__(self, root: Path) -> None:
        self._target = root / PLACE
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.absent = 0
        self.seen: list[dict[str, int]] = []

    def _look(self) -> None:
        while not self._over.is_set():
            if self._target.exists():
                files = (path for path in self._target.rglob("*") if path.is_file())
                found = {str(path.relative_to(self._target)): path.stat().st_size for path in files}
                if found not in self.seen:
                    self.seen.append(found)
            else:
                self.absent += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_of_many_that_fill_one_brings_it_and_readers_see_all_of_it_or_nothing(
    root: Path, folder: Path, fillers: list[Filler]
) -> None:
    with Readers(root) as readers:
        for _ in range(4):
            _start(fillers, root, folder)
        ends = [filler.end() for filler in fillers]
    assert [code for code, _ in ends] == [0] * 4
    assert sorted(line.split(",")[0] for _, line in ends) == ["8 files", *["is there already"] * 3]
    assert readers.absent
    assert readers.seen == [_sizes()]
    assert _content(root / PLACE) == _whole()
    assert _left(root) == set()


def test_after_kill_9_nothing_is_there_and_the_next_one_cleans_up_and_fills(
    root: Path, folder: Path, fillers: list[Filler]
) -> None:
    with Readers(root) as readers:
        killed = _start(fillers, root, folder)
        killed.until("5 of 8")
        killed.kill()
        assert not (root / PLACE).exists()
        (left,) = _left(root)
        assert len(_content(root / INCOMING / left)) >= 5
        assert _start(fillers, root, folder, "0").end() == (0, f"8 files, now at {PLACE}")
    assert readers.seen == [_sizes()]
    assert _content(root / PLACE) == _whole()
    assert _left(root) == set()


def test_who_waits_for_one_that_is_killed_goes_on_by_itself(
    root: Path, folder: Path, fillers: list[Filler]
) -> None:
    first = _start(fillers, root, folder)
    first.until("2 of 8")
    second = _start(fillers, root, folder, "0")
    assert second.until("waiting").startswith("a filler is at it")
    first.kill()
    assert second.end() == (0, f"8 files, now at {PLACE}")
    assert _content(root / PLACE) == _whole()
    assert _left(root) == set()


def test_one_that_is_told_to_end_leaves_nothing(root: Path, folder: Path, fillers: list[Filler]) -> None:
    filler = _start(fillers, root, folder)
    filler.until("3 of 8")
    assert filler.terminate() == 143
    assert not (root / PLACE).exists()
    assert _left(root) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which only root may")
def test_a_full_disk_is_said_and_leaves_nothing(root: Path, folder: Path) -> None:
    fills = shlex.join([*COMMAND, str(root), PLACE, str(folder), "0"])
    steps = f"mount -t tmpfs -o size=1m tmpfs {root} && ({fills}; echo code $?; ls -A {root} {root}/{INCOMING}; df {root})"
    done = subprocess.run(
        ["/usr/bin/unshare", "--mount", "sh", "-c", steps],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    code = lines.index("code 1")
    assert "No space left on device" in lines[code - 1]
    assert [line for line in lines[code:] if "safetensors" in line or line.endswith("Owner")] == []
    # All of it is free again, but for folders and the lock.
    used = int(lines[-1].split()[2])
    assert used < 50


def test_a_file_that_comes_damaged_is_never_seen(root: Path, folder: Path) -> None:
    source = FolderSource.of(folder)
    (folder / "model-4-of-6.safetensors").write_bytes(b"other")
    with pytest.raises(Damaged, match=r"SHA-256 of model-4-of-6\.safetensors"):
        fill(root, PLACE, source.bring, owner="test")
    assert not (root / PLACE).exists()
    assert _left(root) == set()


def _never(_: Path) -> Mapping[str, str]:
    pytest.fail("it was brought again")


def test_what_is_there_whole_is_left_alone(root: Path, folder: Path) -> None:
    fill(root, PLACE, FolderSource.of(folder).bring, owner="test")
    before = (root / PLACE).stat().st_ino
    assert fill(root, PLACE, _never, owner="test") == f"is there already, at {PLACE}"
    assert (root / PLACE).stat().st_ino == before


def test_a_file_with_another_time_and_the_same_bytes_is_left_alone(root: Path, folder: Path) -> None:
    fill(root, PLACE, FolderSource.of(folder).bring, owner="test")
    os.utime(root / PLACE / "model-1-of-6.safetensors")
    fill(root, PLACE, _never, owner="test")


@pytest.mark.parametrize("harm", ["changed", "cut short", "missing", "without a manifest", "empty"])
def test_what_is_not_whole_is_brought_anew(
    harm: str, root: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(root, PLACE, FolderSource.of(folder).bring, owner="test")
    file = root / PLACE / "model-1-of-6.safetensors"
    match harm:
        case "changed":
            file.write_bytes(b"X" + file.read_bytes()[1:])
        case "cut short":
            with file.open("r+b") as stream:
                stream.truncate(1000)
        case "missing":
            file.unlink()
        case "without a manifest":
            (root / PLACE / MANIFEST).unlink()
        case _:
            shutil.rmtree(root / PLACE)
            (root / PLACE).mkdir()
    capfd.readouterr()
    fill(root, PLACE, FolderSource.of(folder).bring, owner="test")
    assert "it is brought anew" in capfd.readouterr().out
    assert _content(root / PLACE) == _whole()
    assert _left(root) == set()


def test_who_lost_its_lock_publishes_nothing(root: Path, folder: Path) -> None:
    """A node that was cut off goes on with its half, after another has cleaned up: what it makes anew lacks the first files."""
    source = FolderSource.of(folder)

    def cut_off(own: Path) -> Mapping[str, str]:
        sums = source.bring(own)
        weight_cache._clear(root / INCOMING, PLACE.replace("/", "--"))  # pyright: ignore[reportPrivateUsage] - what the other does
        own.mkdir(parents=True)
        for path in sums:
            source.download(path, own)
        return sums

    with pytest.raises(FileNotFoundError, match="has lost its lock"):
        fill(root, PLACE, cut_off, owner="test")
    assert not (root / PLACE).exists()


def test_who_comes_second_finds_the_model_of_the_first(root: Path, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fill(elsewhere, PLACE, FolderSource.of(folder).bring, owner="test")

    def beaten(own: Path) -> Mapping[str, str]:
        sums = FolderSource.of(folder).bring(own)
        (root / PLACE).parent.mkdir(parents=True)
        (elsewhere / PLACE).rename(root / PLACE)
        return sums

    fill(root, PLACE, beaten, owner="test")
    assert fault(root / PLACE) is None
    assert _left(root) == set()


def test_a_share_without_locks_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(Refused, match="keeps no locks: mount it by NFS 4"):
        fill(root, PLACE, _never, owner="test")


def test_a_place_outside_of_the_share_is_refused(root: Path) -> None:
    with pytest.raises(Refused, match="not one below its folder"):
        fill(root, "../elsewhere", _never, owner="test")


def test_files_are_readable_by_whoever_mounts_the_share(root: Path, folder: Path) -> None:
    fill(root, PLACE, FolderSource.of(folder).bring, owner="test")
    modes = {path.stat().st_mode & 0o777 for path in (root / PLACE).rglob("*")}
    assert modes == {0o755, 0o644}
    assert (root / PLACE).stat().st_mode & 0o777 == 0o755
