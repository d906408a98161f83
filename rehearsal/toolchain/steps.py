"""The steps of one build: source, download, compile, copy what belongs beside the binaries.

Locks, the final place and outcomes are the caller's (`build`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rehearsal.toolchain.children import Children
from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.job import Job, State
from rehearsal.toolchain.outputs import MANIFEST, Output, copy_writable, source_files
from rehearsal.toolchain.places import Places
from rehearsal.toolchain.tool import ModuleFile


class GoCommandError(Exception):
    """A Go command ended badly.

    :param exit_code: its exit status, negative when a signal ended it.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


@dataclass(frozen=True, kw_only=True)
class Steps:
    """One build under way.

    :param environment: of every Go command.
    :param work: a folder of this build's own, removed by the caller.
    :param log: open log file, written line by line so that it can be followed.
    """

    job: Job
    go: Go
    children: Children
    places: Places
    environment: Mapping[str, str]
    work: Path
    log: TextIO

    def run(self, compilers: int) -> Path:
        """Do all steps.

        :param compilers: processes that `go build` may run at once.
        :returns: the complete folder, ready to be renamed into place.
        :raises GoCommandError: a command failed; the job holds its last lines.
        """
        result = self.work / "result"
        (result / "bin").mkdir(parents=True)
        self.job.state = State.DOWNLOADING
        if self.job.tool.binaries:
            source = self._source()
            self._download(source)
            self.job.state = State.COMPILING
            self._compile(source, result / "bin", compilers)
        self._copy_assets(result)
        self._write_manifest(result)
        return result

    def _source(self) -> Path:
        """The folder to build in: the committed module, or a copy with what its main.go embeds."""
        tool = self.job.tool
        if not tool.embedded:
            return self.places.modules / tool.name
        copy = self.work / "source"
        for path in source_files(tool, self.places):
            copy_writable(path, copy / path.name)
        for file in tool.embedded:
            target = copy / file.embedded_as
            copy_writable(self._module_folder(file) / file.source, target)
            if file.versioned:
                content = json.loads(target.read_text(encoding="utf-8"))
                content["version"] = _number(self.job.output)
                target.write_text(json.dumps(content), encoding="utf-8")
            for old, new in file.replacements:
                text = target.read_text(encoding="utf-8")
                if text.count(old) != 1:
                    raise FileNotFoundError(
                        f"{file.source} of {file.module} has {text.count(old)} times {old!r}, not once"
                    )
                target.write_text(text.replace(old, new), encoding="utf-8")
        return copy

    def _download(self, source: Path) -> None:
        """Fetch every module that the build needs, and count its packages."""

        def on_line(line: str) -> None:
            if " " in line:
                self._note(line)
            else:
                self.job.total += 1

        self._go(
            ["list", "-deps", *self._tags(), "-f", "{{.ImportPath}}", *self._packages()], source, on_line
        )

    def _compile(self, source: Path, target: Path, compilers: int) -> None:
        packages = self._packages()
        names = [binary.name for binary in self.job.tool.binaries]
        own = f"vllm-platform/tools/{self.job.tool.name}"
        last = {own, *packages, *(package.replace("./", f"{own}/", 1) for package in packages)}

        def on_line(line: str) -> None:
            self._note(line)
            if " " not in line:
                self.job.done += 1
                self.job.state = State.LINKING if line in last else State.COMPILING

        flags = " ".join(["-s", "-w", *(f"-X={stamp}" for stamp in _stamps(self.job.output))])
        # One binary can be given its name; several are named by Go after their packages.
        place = str(target / names[0]) if len(names) == 1 else f"{target}/"
        # -s and -w keep debug information out of the binary; that the compiler makes none saves a tenth of
        # its time.
        lean = ["-gcflags=all=-dwarf=false", f"-ldflags={flags}"]
        self._go(
            ["build", "-v", "-p", str(compilers), *self._tags(), *lean, "-o", place, *packages],
            source,
            on_line,
        )
        missing = set(names) - {path.name for path in target.iterdir()}
        if missing:
            raise FileNotFoundError(f"go build gave no {', '.join(sorted(missing))}")

    def _copy_assets(self, result: Path) -> None:
        for file in self.job.tool.assets:
            path = self._module_folder(file) / file.source
            if not file.beside_binaries:
                copy_writable(path, result / "assets" / file.source)
                continue
            target = result / "bin" / path.name
            copy_writable(path, target)
            target.chmod(0o755)

    def _module_folder(self, file: ModuleFile) -> Path:
        """Folder of a module in Go's module cache, where it is downloaded to and checked against go.sum."""
        folder = self.places.modules / (file.resolved_by or self.job.tool.name)
        lines: list[str] = []

        def on_line(line: str) -> None:
            if line.startswith("go: "):
                self._note(line)
            else:
                lines.append(line)

        try:
            self._go(["mod", "download", "-json", file.module], folder, on_line)
        except GoCommandError:
            for line in lines:
                self._note(line)
            raise
        return Path(json.loads("\n".join(lines))["Dir"])

    def _write_manifest(self, result: Path) -> None:
        manifest = {
            "tool": self.job.tool.name,
            "version": self.job.output.version,
            "go": self.go.version,
            "platform": self.go.platform,
            "build_seconds": round(self.job.seconds, 1),
        }
        (result / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    def _packages(self) -> list[str]:
        return [binary.package for binary in self.job.tool.binaries]

    def _tags(self) -> list[str]:
        return [f"-tags={','.join(self.job.tool.tags)}"] if self.job.tool.tags else []

    def _go(self, arguments: list[str], folder: Path, on_line: Callable[[str], None]) -> None:
        self.log.write(f"$ go {' '.join(arguments)}\n")
        status = self.children.run(
            [self.go.binary, *arguments], folder=folder, environment=self.environment, on_line=on_line
        )
        if status != 0:
            raise GoCommandError(status)

    def _note(self, line: str) -> None:
        """Write a line to the log; unless it only names a package, it is kept for an error message too."""
        self.log.write(line + "\n")
        if " " in line:
            self.job.note(line)


def _number(output: Output) -> str:
    return output.version.removeprefix("v")


def _stamps(output: Output) -> list[str]:
    number = _number(output)
    major, minor = number.split(".")[:2]
    return [
        stamp.format(version=output.version, number=number, major=major, minor=minor)
        for stamp in output.tool.stamps
    ]
