"""How a stack's settings are read: from its file as Pulumi reads it, from a running program, and never with a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings import Problem, SettingsError, build, load_program_settings, load_stack_file

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "tests" / "data" / "broken" / "base.yaml"
STACKS = ("local", "dev", "staging", "prod")


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "Pulumi.broken.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_stack_file(path)
    return str(caught.value)


CONFIG = yaml.safe_load(BASE.read_text(encoding="utf-8"))["config"]
SECTIONS = {key.removeprefix("vllm-platform:"): value for key, value in CONFIG.items() if "vllm" in key}


def _base_sections() -> dict[str, Any]:
    return deepcopy(SECTIONS)


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stacks_are_good(stack: str) -> None:
    settings = load_stack_file(ROOT / f"Pulumi.{stack}.yaml")
    assert [model.name for model in settings.models] == ["qwen-7b-vllm", "qwen3-235b-a22b", "qwen3-embedding"]
    # A rehearsal brings up no node by itself, so it needs none that are there first.
    first = [] if settings.cluster.kind == "rehearsal" else ["system"]
    assert [pool.name for pool in settings.pools] == [*first, "platform", "a10", "a10-spot", "a100"]


@pytest.mark.parametrize("stack", STACKS)
def test_settings_written_as_configuration_give_the_same_settings(stack: str) -> None:
    settings = load_stack_file(ROOT / f"Pulumi.{stack}.yaml")
    assert build(stack, json.loads(json.dumps(settings.to_config()))) == settings


def test_only_staging_and_prod_carry_the_example_digest() -> None:
    names = ["qwen-7b-vllm", "qwen3-235b-a22b", "qwen3-embedding"]
    loaded = {stack: load_stack_file(ROOT / f"Pulumi.{stack}.yaml").example_digests() for stack in STACKS}
    assert loaded == {"local": [], "dev": [], "staging": names, "prod": names}


def test_prod_is_sized_as_required() -> None:
    settings = load_stack_file(ROOT / "Pulumi.prod.yaml")
    chat = settings.models[0]
    assert (chat.min_replicas, chat.max_replicas, chat.gpus) == (3, 20, 1)
    assert (chat.resources.requests.cpu_m, chat.resources.requests.memory_mib) == (4000, 16384)
    assert (chat.resources.limits.cpu_m, chat.resources.limits.memory_mib) == (8000, 32768)
    assert {pool.name: (pool.instance_type, pool.min) for pool in settings.gpu_pools}["a100"] == (
        "p4d.24xlarge",
        0,
    )


def test_keys_of_other_namespaces_and_secrets_are_left_alone(tmp_path: Path) -> None:
    document = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    document["config"]["aws:region"] = "us-east-1"
    document["config"]["vllm-platform:hfToken"] = {"secure": "v1:not:decrypted"}
    document["encryptionsalt"] = "v1:x"
    assert load_stack_file(_written(tmp_path, yaml.safe_dump(document)))


def test_a_secret_s_cipher_text_is_never_printed(tmp_path: Path) -> None:
    document = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    document["config"]["vllm-platform:registry"]["account"] = {"secure": "v1:CIPHERTEXT:x"}
    document["config"]["vllm-platform:models"] = {"secure": "v1:CIPHERTEXT:x"}
    assert "CIPHERTEXT" not in _refusal(_written(tmp_path, yaml.safe_dump(document)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("just text", "must be a mapping"),
        ("config: [1, 2]", "must be a mapping of configuration keys"),
        ("config:\n  a: b: c", "line 2, column"),
        ("config: {a: 1", "not valid YAML"),
        ("config:\n  vllm-platform:namespace: a\n  vllm-platform:namespace: b", "is written twice"),
        ("config: !!python/object:os.system {}", "not valid YAML"),
        ("config: &a {b: *a}", "the section is missing"),
        ("config:\n  vllm-platform:pools: &a [*a]", "must be a mapping"),
        ("config:\n  ? [a]\n  : 1", "not valid YAML"),
        ("config:\n  vllm-platform:pools: !!int x", "not valid YAML"),
        ("[" * 20000, "not valid YAML"),
        ("config:\n  vllm-platform:namespace: " + "9" * 5000, "not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
    ids=range(14),
)
def test_a_file_that_can_not_be_read_is_refused_in_words(text: str, said: str, tmp_path: Path) -> None:
    message = _refusal(_written(tmp_path, text))
    assert said in message
    assert "fix: " in message


def test_a_missing_file_names_the_stacks_that_exist(tmp_path: Path) -> None:
    _written(tmp_path, "")
    assert "use one of the stacks that exist: broken" in _refusal(tmp_path / "Pulumi.gone.yaml")


def test_a_folder_or_bytes_in_the_place_of_the_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.folder.yaml").mkdir()
    (tmp_path / "Pulumi.bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "can not be read" in _refusal(tmp_path / "Pulumi.folder.yaml")
    assert "can not be read" in _refusal(tmp_path / "Pulumi.bytes.yaml")


def test_plain_scalars_are_read_as_pulumi_reads_them(tmp_path: Path) -> None:
    """Pulumi's library takes `yes` and `on` as text, PyYAML as true: check must not pass what up refuses."""
    text = BASE.read_text(encoding="utf-8").replace(
        "spread: {kind: zones}", "spread: {kind: zones}\n      enabled: yes"
    )
    assert "must be true or false (found 'yes')" in _refusal(_written(tmp_path, text))
    clock = BASE.read_text(encoding="utf-8").replace("namespace: llm-prod", "namespace: 22:30")
    assert "(found '22:30')" in _refusal(_written(tmp_path, clock))


def test_the_namespace_has_a_default() -> None:
    sections = _base_sections()
    del sections["namespace"]
    assert build("x", sections).namespace == "llm-prod"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.text(max_size=200))
@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_is_loaded_or_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.junk.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(SettingsError):
        load_stack_file(path)


def _places(holder: dict[str, Any] | list[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield every (holder, key) of a document, and for every mapping one key that is not there."""
    if isinstance(holder, dict):
        yield holder, "junk"
    for key, inner in holder.items() if isinstance(holder, dict) else enumerate(holder):
        yield holder, key
        if isinstance(inner, dict | list):
            yield from _places(cast("dict[str, Any] | list[Any]", inner))


@given(junk=JUNK, number=st.integers(min_value=0, max_value=10_000))
@hypothesis_settings(max_examples=300, deadline=None)
def test_junk_anywhere_in_a_good_file_is_loaded_or_refused(junk: object, number: int) -> None:
    sections = _base_sections()
    places = list(_places(sections))
    holder, key = places[number % len(places)]
    holder[key] = junk
    for problem in _problems_of(sections):
        assert problem.path
        assert problem.reason
        assert problem.fix
        assert "fix: " in str(problem)


def _problems_of(sections: dict[str, Any]) -> tuple[Problem, ...]:
    try:
        build("junk", sections)
    except SettingsError as error:
        return error.problems
    return ()


def test_a_program_reads_the_same_settings_as_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi hands sections over as JSON text, texts as they are, and names its secrets apart."""
    sections = _base_sections()
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in sections.items()}
    config = {f"vllm-platform:{key}": value for key, value in texts.items()}
    config |= {"vllm-platform:hfToken": "in plain text here", "aws:region": "us-east-1"}
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(config))
    monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(["vllm-platform:hfToken"]))
    assert load_program_settings() == build("x", sections)


def test_a_program_reports_all_problems_of_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "vllm-platform:environment": "prod",
        "vllm-platform:pools": "not a list",
        "vllm-platform:x": "1",
    }
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(config))
    with pytest.raises(SettingsError) as caught:
        load_program_settings()
    assert {problem.path for problem in caught.value.problems} == {
        "x",
        "cluster",
        "registry",
        "models",
        "pools",
    }


def test_check_starts_without_pulumi_and_without_kubernetes() -> None:
    """Importing them costs more than the whole check."""
    code = (
        "import sys; from pathlib import Path; from ops.check import check; "
        "status = check('prod', Path('.')); "
        "sys.exit(status or len({'pulumi', 'pulumi_kubernetes', 'grpc'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
