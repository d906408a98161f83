"""The built image as a container: by runc, on a read-only root, as the image's user."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from weight_layers import MANIFEST

from components.engine_args import engine_args
from rehearsal.cpu_engine.process import (
    CPU_VARIABLES,
    NO_NUMA,
    VENV,
    Engine,
    can_run,
    free_port,
    python,
)
from rehearsal.cpu_engine.tiny_models import TinyModels
from settings.models import Model
from tests.image.build.buildkit import Build, BuildKit
from tests.image.build.conftest import COMMIT, MODEL, NEVER_SEEN, SMALL, StartHub, told
from tests.image.build.container import Container, run_container, running_container
from tests.image.build.oci_layout import Image
from tests.image.engine import flags_on_cpu, request_lines

pytestmark = pytest.mark.image

# Where programs and libraries lie; the image's own Python lies beside them.
SYSTEM = ("/usr", "/lib", "/lib64")


@pytest.fixture(scope="session")
def tiny(buildkit: BuildKit, build: Build, start_hub: StartHub, tiny_models: TinyModels) -> Image:
    """The image with the weights of the tiny chat model."""
    files = {path.name: path.read_bytes() for path in tiny_models.chat.iterdir()}
    with start_hub(files) as hub:
        return buildkit.image(told(build, ENDPOINT=hub.url, QUANTIZATION="none"))


@pytest.fixture
def served(tiny: Image, chat_model: Model, bundle: Path, tmp_path: Path) -> Iterator[Engine]:
    """The real vLLM in the image, with the flags of the model's pod."""
    if not can_run():
        pytest.skip(NO_NUMA)
    venv = python().parents[1].resolve()
    port = free_port()
    container = Container(
        image=tiny,
        arguments=[
            "/opt/model",
            *flags_on_cpu(engine_args(chat_model), keep={"--middleware"}),
            "--host=127.0.0.1",
            f"--port={port}",
        ],
        variables={**CPU_VARIABLES, "PATH": f"{venv / 'bin'}:/usr/bin:/bin", "VP_METRICS_PORT": "0"},
        shown=[venv, *(Path(path) for path in SYSTEM if Path(path).exists())],
        # So that the test reaches it.
        network=True,
    )
    log = tmp_path / "engine.log"
    with running_container(container, bundle, log) as process:
        engine = Engine(process, port, log)
        engine.wait_until_healthy()
        yield engine


def test_it_starts_without_a_shell_and_writes_below_tmp_only(plain: Image, bundle: Path) -> None:
    arguments = ["/opt/model", "--port=8000", "a b; $HOME"]
    done = run_container(Container(image=plain, arguments=arguments), bundle)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    # The first process, with its arguments as they were given.
    assert (said["pid"], said["arguments"]) == (1, ["serve", *arguments])
    assert set(said["ids"]) == {1001}
    assert (said["home"], said["folder"]) == ("/tmp/home", "/")  # noqa: S108 - in the image
    assert said["middleware"] == "vllm_platform_middleware.middleware"
    assert said["environment"].items() >= dict(line.split("=", 1) for line in plain.config["Env"]).items()
    scratch = {folder for folder, written in said["written"].items() if written}
    assert scratch == {line.split("=", 1)[1] for line in plain.config["Env"] if "=/tmp/" in line}
    assert set(said["written"]) - scratch == {"/opt/model", "/etc", "/usr/local"}


def test_its_user_reads_and_checks_the_weights(tiny: Image, tiny_models: TinyModels, bundle: Path) -> None:
    check = ["sh", "-c", f"cd /opt/model && sha256sum --check --strict {MANIFEST}"]
    done = run_container(Container(image=tiny, arguments=[], entrypoint=check), bundle)
    assert (done.returncode, done.stderr) == (0, "")
    files = sorted(path.name for path in tiny_models.chat.iterdir())
    assert sorted(done.stdout.splitlines()) == [f"{path}: OK" for path in files]


def test_what_fills_claims_brings_a_model_as_its_user(
    buildkit: BuildKit, build: Build, start_hub: StartHub, secrets: dict[str, Path], bundle: Path
) -> None:
    image = buildkit.image(replace(build, target="fetch"))
    token = secrets["hub_token"]
    with start_hub(SMALL) as hub:
        request = {
            "source": "huggingface",
            "endpoint": hub.url,
            "model": MODEL,
            "revision": COMMIT,
            "quantization": "awq",
            "licence": "Apache-2.0",
            "root": "/tmp",  # noqa: S108 - in the container, in the place of a claim
            "place": "qwen",
            "token-file": str(token),
        }
        arguments = [f"--{name}={value}" for name, value in request.items()]
        filling = Container(image=image, arguments=arguments, shown=[token], network=True)
        done = run_container(filling, bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith(f"{MODEL} at {COMMIT}: ")
    assert NEVER_SEEN not in done.stdout
    assert image.config["User"] == "1001:1001"


def test_a_real_vllm_serves_the_baked_weights_as_the_image_s_user(served: Engine, chat_model: Model) -> None:
    body = {
        "model": chat_model.name,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 5,
        "temperature": 0,
    }
    own = str(VENV.resolve())
    processes = psutil.Process(served.pid).children(recursive=True)
    assert {found.uids().real for found in processes if found.cmdline()[0].startswith(own)} == {1001}
    with served.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, served.tail()
    (line,) = request_lines(served.log.read_text())
    assert line["completion_tokens"] == answer.json()["usage"]["completion_tokens"] == 5
