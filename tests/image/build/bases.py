"""What stands in for the images that the Dockerfile starts from: this machine's Python, and a `vllm` that says how it was started."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.image.build.buildkit import Base
from tests.image.build.machine_root import (
    PATH,
    SCRIPTS,
    add_package,
    add_script,
    install_here,
    make_python_root,
)
from tests.image.build.oci_layout import write_image, write_layer
from tests.image.build.package_index import certificates

FETCH_BASE: Final = "python:3.12.12-slim-bookworm"
ENGINE_BASE: Final = "vllm/vllm-openai:v0.32.0"
"""The names that the Dockerfile has for them."""

_MIDDLEWARE_NEEDS: Final = ("aiohttp", "prometheus_client", "regex")
_VLLM: Final = '''
import json, os, pwd, sys
from pathlib import Path

# What `vllm serve --middleware` imports; it fails where the image lacks it.
from vllm_platform_middleware import Middleware

def written(folder):
    """Return whether the folder can be made and a file written below it."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "probe").write_text("written")
    except OSError:
        return False
    return True

scratch = {value for value in os.environ.values() if value.startswith("/tmp/")}
print(json.dumps({
    "arguments": sys.argv[1:],
    "pid": os.getpid(),
    "ids": [os.getuid(), os.getgid(), *os.getgroups()],
    "home": pwd.getpwuid(os.getuid()).pw_dir,
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "middleware": Middleware.__module__,
    "written": {folder: written(folder) for folder in (*scratch, "/opt/model", "/etc", "/usr/local")},
}))
'''


@dataclass(frozen=True, kw_only=True)
class Bases:
    """fetch: has Python and pip. engine: has vLLM and the streamer; newer: the same with a change; bare: without the streamer."""

    fetch: Base
    engine: Base
    newer: Base
    bare: Base

    def of(self, engine: Base) -> dict[str, Base]:
        """Return what a build of the Dockerfile needs, with that engine."""
        return {FETCH_BASE: self.fetch, ENGINE_BASE: engine}


def make_bases(folder: Path) -> Bases:
    """Write the images below `folder`."""
    layout = folder / "bases"
    # As a company's own base has them.
    make_python_root(folder / "python", certificates())
    python = write_layer(layout, folder / "python")

    def layer(name: str, *, streamer: bool) -> dict[str, Any]:
        root = folder / name
        (root / SCRIPTS).mkdir(parents=True)
        (root / "release").write_text(name)
        add_script(root, "vllm", _VLLM)
        install_here(root, _MIDDLEWARE_NEEDS)
        if streamer:
            add_package(root, "runai-model-streamer-s3", "0.15.0")
        return write_layer(layout, root)

    def base(*layers: dict[str, Any]) -> Base:
        return Base(layout=layout, digest=write_image(layout, layers, {"PATH": PATH}))

    return Bases(
        fetch=base(python),
        engine=base(python, layer("engine", streamer=True)),
        newer=base(python, layer("newer", streamer=True)),
        bare=base(python, layer("bare", streamer=False)),
    )
