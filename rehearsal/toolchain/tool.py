"""What a tool is: a Go module of ours, what is built from it, and what is copied out of it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Binary:
    """One program of a tool: its file name and the Go package it is built from."""

    name: str
    package: str


@dataclass(frozen=True, kw_only=True)
class ModuleFile:
    """A file or folder that is copied out of a Go module.

    :param module: module path; its version is the one that a go.mod of ours resolves to.
    :param source: path inside the module.
    :param resolved_by: name of the tool whose go.mod decides the version; the tool's own when empty.
    :param beside_binaries: put it, executable, into the folder of the binaries (programs that look for their
        scripts there). Otherwise it keeps its path, under the tool's assets.
    :param embedded_as: file name beside our main.go, where it is embedded.
    :param versioned: it is JSON that lacks its `version`, which upstream's build writes in.
    :param replacements: pairs of a text that stands in it exactly once and the text to put there.
    """

    module: str
    source: str
    resolved_by: str = ""
    beside_binaries: bool = False
    embedded_as: str = ""
    versioned: bool = False
    replacements: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One Go module under `tools/` and what comes out of it.

    :param name: also the folder under `tools/`.
    :param module: the Go module whose version is the tool's version.
    :param binaries: built by one `go build`. None: the tool is its assets, which are only downloaded.
    :param memory_mib: peak of the build with two compilers at once.
    :param seconds: of a build from nothing, alone on two cores.
    :param released_as: the version's usual name, where the module proxy only knows a pseudo-version for it.
    :param stamps: `-X` settings of the linker; `{version}`, `{number}` (without v), `{major}` and `{minor}`
        are filled in.
    :param tags: of the build, by which a program leaves parts of itself out.
    :param assets: copied into the output.
    :param embedded: copied beside the tool's own main.go before it is compiled, which embeds them.
    """

    name: str
    module: str
    memory_mib: int
    seconds: int
    binaries: tuple[Binary, ...] = ()
    released_as: str = ""
    stamps: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    assets: tuple[ModuleFile, ...] = ()
    embedded: tuple[ModuleFile, ...] = ()
