"""One builder, one hub and one built image for all tests of the build."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.image.build.bases import Bases, make_bases
from tests.image.build.buildkit import Build, BuildKit, running_buildkit
from tests.image.build.contained import own_folder
from tests.image.build.hub import Hub, running_hub
from tests.image.build.oci_layout import Image
from tests.image.build.package_index import pip_configuration

CONTEXT: Final = Path(__file__).resolve().parents[3] / "docker" / "vllm"
MODEL: Final = "Qwen/Qwen3-8B-AWQ"
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
NEVER_SEEN: Final = "neverToBeSeen"
"""It is in every secret."""

LARGE_BYTES: Final = 64 * 2**20
"""From here on a file is in a layer with other large ones, or alone."""

WEIGHTS: Final[Mapping[str, bytes]] = {
    "config.json": json.dumps({"quantization_config": {"quant_method": "awq"}}).encode(),
    "LICENSE": b"as it is",
    "model-00001-of-00002.safetensors": b"1" * LARGE_BYTES,
    "model-00002-of-00002.safetensors": b"2" * (LARGE_BYTES + 1),
    "model.safetensors.index.json": b"{}",
    "tokenizer.json": b'{"a": 1}' * 1000,
}
LEFT_OUT: Final[Mapping[str, bytes]] = {
    "README.md": b"a card",
    "modeling_model.py": b"print('hello')",
    "pytorch_model.bin": b"a pickle",
}
SMALL: Final[Mapping[str, bytes]] = {
    "config.json": WEIGHTS["config.json"],
    "model.safetensors": b"weights" * 1000,
}
ARGUMENTS: Final[Mapping[str, str]] = {
    "MODEL": MODEL,
    "REVISION": COMMIT,
    "QUANTIZATION": "awq",
    "LICENCE": "Apache-2.0",
    "VERSION": "v1.2.3",
    "COMMIT": "abcdef",
}
Change = Callable[[Build], Build]
StartHub = Callable[[Mapping[str, bytes]], AbstractContextManager[Hub]]


@pytest.fixture(scope="session")
def buildkit() -> Iterator[BuildKit]:
    """The builder. Its folder holds all that is large, and goes with it."""
    with own_folder() as folder, running_buildkit(folder) as running:
        yield running


@pytest.fixture(scope="session")
def bases(buildkit: BuildKit) -> Bases:
    """Stand-ins for the images that the Dockerfile starts from."""
    return make_bases(buildkit.folder)


@pytest.fixture(scope="session")
def secrets(buildkit: BuildKit) -> dict[str, Path]:
    """A file for each secret that the Dockerfile knows."""
    texts = {
        "pip_conf": pip_configuration(comment=NEVER_SEEN),
        "hub_token": f"hf_{NEVER_SEEN}\n",
        "aws_credentials": (
            f"[default]\naws_access_key_id = AKIA{NEVER_SEEN}\naws_secret_access_key = {NEVER_SEEN}\nregion = us-east-1\n"
        ),
    }
    files = {name: buildkit.folder / f"secret-{name}" for name in texts}
    for name, file in files.items():
        file.write_text(texts[name])
    return files


@pytest.fixture(scope="session")
def start_hub() -> StartHub:
    """Start a hub that has these files, for those who bring the secret token."""
    return partial(running_hub, MODEL, COMMIT, token=f"hf_{NEVER_SEEN}")


@pytest.fixture(scope="session")
def hub(start_hub: StartHub) -> Iterator[Hub]:
    """The hub of the whole model."""
    with start_hub({**WEIGHTS, **LEFT_OUT}) as started:
        yield started


@pytest.fixture(scope="session")
def build(bases: Bases, secrets: dict[str, Path]) -> Build:
    """A build of the model; tests change what they are about. It has no endpoint yet."""
    return Build(context=CONTEXT, bases=bases.of(bases.engine), arguments=ARGUMENTS, secrets=secrets)


@pytest.fixture(scope="session")
def baked_build(build: Build, hub: Hub) -> Build:
    """The build of `baked`."""
    return told(replace(build, options={"attest:provenance": "mode=max"}), ENDPOINT=hub.url)


@pytest.fixture(scope="session")
def baked(buildkit: BuildKit, baked_build: Build) -> Image:
    """The image with weights."""
    return buildkit.image(baked_build)


@pytest.fixture(scope="session")
def plain(buildkit: BuildKit, build: Build) -> Image:
    """The image without weights."""
    return buildkit.image(replace(build, target="plain"))


@pytest.fixture
def bundle(buildkit: BuildKit) -> Iterator[Path]:
    """A folder for one container, beside the images."""
    folder = Path(tempfile.mkdtemp(prefix="container-", dir=buildkit.folder))
    # Else its user could not enter.
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def told(build: Build, **arguments: str) -> Build:
    """Return the build with other arguments."""
    return replace(build, arguments={**build.arguments, **arguments})


def sha256(content: bytes) -> str:
    """Return the SHA-256 as it is written."""
    return hashlib.sha256(content).hexdigest()
