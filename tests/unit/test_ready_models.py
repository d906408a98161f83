"""The ready models of the catalogue: copied into a stack as they are they pass every check, fit, and are deployed."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.catalogue import COLUMNS, rows
from ops.catalogue_cli import app
from ops.program_graph import program_graph
from ops.render import is_patch
from rehearsal.errors import UserError
from settings import load_stack_file
from settings.facts import instances
from settings.fit import memory_fit
from settings.ready_models import FOLDER, cheapest_instance, entry_text, ready_models
from tests.made_stacks import catalogue_sections, made_stack

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
BUCKET = {"dev": "acme-llm-dev-models", "prod": "acme-llm-prod-models"}

pytestmark = pytest.mark.unit


def test_the_kinds_of_models_that_people_ask_for_are_there() -> None:
    models = ready_models().values()
    assert {name.split("-")[0] for name in NAMES} >= {"qwen2", "qwen3", "llama", "mistral", "qwen3guard"}
    assert any(model.task == "embed" and model.selector.capacity == "spot" for model in models)
    assert any(model.facts.experts and model.gpus == 4 for model in models)
    assert [model.name for model in models] == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("base", ["dev", "prod"])
def test_an_entry_alone_passes_every_check_of_a_stack(name: str, base: str, tmp_path: Path) -> None:
    sections = catalogue_sections([name], bucket=BUCKET[base], by_digest=base == "prod")
    folder = made_stack(ROOT, tmp_path, "made", base, sections)
    settings = load_stack_file(folder / "Pulumi.made.yaml")
    (model,) = settings.models
    fit = memory_fit(model.facts, model.engine, settings.pool_of(model).gpu)
    assert fit.fits
    # The promise takes at least half of what there is.
    assert fit.most_sequences < 2 * model.engine.max_num_seqs


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What a stack with all entries deploys, by kind and name."""
    sections = catalogue_sections(NAMES, bucket=BUCKET["dev"])
    folder = made_stack(ROOT, tmp_path_factory.mktemp("all"), "made", "dev", sections)
    objects = [
        node["inputs"]
        for node in program_graph("made", folder).resources
        if "kind" in node["inputs"] and not is_patch(node)
    ]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_deployed_beside_all_others(
    name: str, deployed: dict[tuple[str, str], dict[str, Any]]
) -> None:
    model, service = ready_models()[name], deployed["InferenceService", name]
    container = service["spec"]["predictor"]["containers"][0]
    assert f"--max-num-seqs={model.engine.max_num_seqs}" in container["args"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(model.gpus)
    scaled = any(kind == "ScaledObject" and name in named for kind, named in deployed)
    assert scaled is (model.autoscaling.kind == "keda")


def test_the_table_names_the_cheapest_node_on_which_a_replica_fits() -> None:
    by_name = {row.name: row for row in rows()}
    moe, chat, guard = by_name["qwen3-235b-a22b"], by_name["qwen2-5-7b-awq"], by_name["qwen3guard"]
    assert (moe.instance_type, moe.replicas, moe.hourly) == ("p4d.24xlarge", 2, 21.957642)
    # A chat model's pod needs more memory than a g5.xlarge has for pods; the guard's does not.
    assert (chat.instance_type, guard.instance_type) == ("g5.2xlarge", "g5.xlarge")
    assert all(len(row.cells()) == len(COLUMNS) for row in rows())


def test_a_model_for_which_no_gpu_is_large_enough_has_no_instance() -> None:
    model = ready_models()["qwen3-235b-a22b"]
    wider = model.engine.model_copy(update={"max_num_seqs": 1000})
    assert cheapest_instance(model.model_copy(update={"engine": wider})) is None
    assert cheapest_instance(model) in instances()


def test_revisions_are_whole_commits_and_comments_say_what_for() -> None:
    for name in NAMES:
        assert re.fullmatch(r"[0-9a-f]{40}", ready_models()[name].revision)
        assert (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


def test_list_and_show_print_what_there_is() -> None:
    listed = CliRunner().invoke(app, ["list"], terminal_width=200)
    assert listed.exit_code == 0
    assert all(name in listed.output for name in NAMES)
    shown = CliRunner().invoke(app, ["show", "qwen3guard"])
    assert shown.output == entry_text("qwen3guard")
    assert "    - name: qwen3guard\n      model: Qwen/Qwen3Guard-Gen-0.6B\n" in shown.output


def test_an_unknown_name_is_said_with_the_nearest() -> None:
    result = CliRunner().invoke(app, ["show", "qwen3gard"])
    assert isinstance(result.exception, UserError)
    assert "did you mean 'qwen3guard'" in str(result.exception)
