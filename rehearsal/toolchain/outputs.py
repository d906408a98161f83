"""Where a finished tool is kept, and the hash of everything that decides what is in it."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.gomod import required_version
from rehearsal.toolchain.places import Places
from rehearsal.toolchain.tool import ModuleFile, Tool

# Raise it when the way of building changes the result (flags of the compiler and the like).
_RECIPE = 1
_HASH_LENGTH = 16
_MEASUREMENTS = ("memory_mib", "seconds")
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Output:
    """A tool's folder in the cache. It exists only when it is complete, because it is renamed into place.

    :param folder: `<cache>/tools/<name>-<hash>`.
    """

    tool: Tool
    version: str
    folder: Path

    @property
    def complete(self) -> bool:
        """The tool was built: nothing is left to do."""
        return (self.folder / MANIFEST).is_file()

    @property
    def binaries(self) -> Path:
        """Folder of the binaries."""
        return self.folder / "bin"

    @property
    def assets(self) -> Path:
        """Folder of the files copied out of Go modules; each keeps its path in the module."""
        return self.folder / "assets"

    def manifest(self) -> dict[str, Any]:
        """What was recorded when it was built."""
        return json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))


def output_of(tool: Tool, places: Places, go: Go) -> Output:
    """The output that the present inputs of a tool lead to, whether it was built or not."""
    folder = places.modules / tool.name
    version = tool.released_as or required_version(folder / "go.mod", tool.module)
    return Output(
        tool=tool, version=version, folder=places.outputs / f"{tool.name}-{_hash(tool, places, go)}"
    )


def source_files(tool: Tool, places: Places) -> list[Path]:
    """The committed files that a tool is built from: go.mod, go.sum and Go sources of ours."""
    folder = places.modules / tool.name
    return [folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))]


def asset_version(asset: ModuleFile, tool: Tool, places: Places) -> str:
    """The version of the module that an asset is copied from."""
    return required_version(places.modules / (asset.resolved_by or tool.name) / "go.mod", asset.module)


def _hash(tool: Tool, places: Places, go: Go) -> str:
    spec = _given({key: value for key, value in asdict(tool).items() if key not in _MEASUREMENTS})
    files = tool.assets + tool.embedded
    inputs = {
        "recipe": _RECIPE,
        "spec": spec,
        "go": go.version,
        "platform": go.platform,
        "files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in source_files(tool, places)
        },
        "from_modules": [asset_version(file, tool, places) for file in files],
    }
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def _given(value: object) -> object:
    """Without empty fields, so that a new field of the table keeps the hashes of tools without it."""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {key: _given(field) for key, field in fields.items() if field}
    if isinstance(value, list | tuple):
        return [_given(item) for item in cast("list[object]", value)]
    return value


def link_output(output: Output, places: Places) -> None:
    """Point this checkout's links at an output."""
    for binary in output.binaries.iterdir():
        _link(places.links / binary.name, binary)
    if output.assets.is_dir():
        _link(places.asset_links / output.tool.name, output.assets)


def unlink_tool(tool: Tool, places: Places) -> None:
    """Take a tool's links away, so that a program of that name elsewhere on PATH is found."""
    beside = [Path(file.source).name for file in tool.assets if file.beside_binaries]
    for name in [*(binary.name for binary in tool.binaries), *beside]:
        (places.links / name).unlink(missing_ok=True)
    (places.asset_links / tool.name).unlink(missing_ok=True)


def copy_writable(source: Path, target: Path) -> None:
    """Copy a file or a folder out of the module cache, where everything is read-only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_copy_content)
    else:
        _copy_content(source, target)


def _copy_content(source: str | Path, target: str | Path) -> None:
    shutil.copyfile(source, target)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
