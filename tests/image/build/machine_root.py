"""This machine's Python and shell as the root folder of a container, so that no image has to come from a registry."""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

SCRIPTS: Final = Path("usr/local/bin")
PYTHON: Final = Path(sys.executable).resolve()
PATH: Final = "/usr/local/bin:/usr/bin:/bin"

_PROGRAMS: Final = ("sh", "getent", "chmod", "sha256sum")
# Not needed, or another's: a third of a gigabyte.
_LEFT_OUT: Final = shutil.ignore_patterns(
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "config-*"),
    *("site-packages", "dist-packages", "EXTERNALLY-MANAGED", "*.a"),
)
_LIBRARY: Final = re.compile(r"(/\S+) \(0x")


def make_python_root(root: Path, files: Iterable[Path] = ()) -> None:
    """Fill `root` with Python, pip, a shell and `files`, each at the path that it has here, and `python` in PATH."""
    for name in ("tmp", "proc", "dev", "sys", SCRIPTS):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    _write(root / "etc" / "passwd", "root:x:0:0:root:/root:/bin/sh\n")
    _write(root / "etc" / "group", "root:x:0:\n")
    programs = {f"/bin/{name}": _program(name) for name in _PROGRAMS} | {str(PYTHON): PYTHON}
    for path, program in programs.items():
        _copy(program, root / path[1:])
    standard_library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard_library, _below(root, standard_library), ignore=_LEFT_OUT, dirs_exist_ok=True)
    extensions = sorted((standard_library / "lib-dynload").glob("*.so"))
    for library in _libraries([*programs.values(), *extensions]):
        _copy(library, _below(root, library))
    for file in files:
        _copy(file, _below(root, file))
    for name in ("python", "python3"):
        (root / SCRIPTS / name).symlink_to(PYTHON)
    install_here(root, ["pip"])
    add_script(root, "pip", "import sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n")


def install_here(root: Path, packages: Iterable[str]) -> None:
    """Copy packages of this environment, and what they need, to where the Python below `root` looks for them."""
    target = _below(root, _site_packages())
    here = Path(sysconfig.get_path("purelib"))
    # Programs lie beside it, not below.
    files = [
        here / file
        for package in _closure(packages)
        for file in distribution(package).files or ()
        if ".." not in file.parts and (here / file).exists()
    ]
    for file in files:
        _copy(file, target / file.relative_to(here))
    for library in _libraries([file for file in files if file.suffix == ".so"]):
        # What a package brings lies beside it.
        if not library.is_relative_to(here):
            _copy(library, _below(root, library))


def add_package(root: Path, name: str, version: str) -> None:
    """Write the metadata of a package that is not there."""
    folder = _below(root, _site_packages()) / f"{name.replace('-', '_')}-{version}.dist-info"
    _write(folder / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def add_script(root: Path, name: str, text: str) -> None:
    """Put a Python program into PATH."""
    script = root / SCRIPTS / name
    _write(script, f"#!/usr/local/bin/python3\n{text}")
    script.chmod(0o755)


def _site_packages() -> Path:
    command = [PYTHON, "-I", "-c", "import site; print(site.getsitepackages()[0])"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def _closure(packages: Iterable[str]) -> list[str]:
    found: list[str] = []
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        needs = [Requirement(line) for line in distribution(name).requires or ()]
        waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return found


def _libraries(programs: Sequence[Path]) -> Iterator[Path]:
    """Every shared library that the programs are linked with, the loader, and what the C library loads when a thread ends."""
    if not programs:
        return
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True)  # noqa: S607
    for path in sorted(set(_LIBRARY.findall(done.stdout))):
        yield Path(path)
        if path.endswith("/libc.so.6"):
            yield Path(path).with_name("libgcc_s.so.1")


def _program(name: str) -> Path:
    found = shutil.which(name)
    assert found, f"{name} is not in PATH"
    return Path(found).resolve()


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _copy(source: Path, target: Path) -> None:
    """With its times: a compiled module knows those of its source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
