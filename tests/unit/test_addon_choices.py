"""What an add-on is where a stack says nothing: by the cluster's kind, and by what else the stack asks for."""

from pathlib import Path
from typing import cast

import pytest

from settings import Settings, build, load_stack_file, stack_yaml
from settings.addon_choices import ALWAYS_ON_EKS, choices_of
from settings.addons import Addons

pytestmark = pytest.mark.unit

BASE = Path(__file__).resolve().parents[1] / "data" / "broken" / "base.yaml"
PREFIX = "vllm-platform:"
EXISTING = {
    "kind": "existing",
    "kubeconfig": "~/.kube/config",
    "context": "own",
    "region": "us-east-1",
    "zones": ["us-east-1a", "us-east-1b"],
}
POSTGRES = {
    "kind": "postgres",
    "backups": {"kind": "s3", "bucket": {"kind": "created", "name": "llm-backups"}},
}


def _stack(**sections: object) -> Settings:
    """The good stack with some sections replaced; None leaves one out."""
    config = cast("dict[str, dict[str, object]]", stack_yaml.load(BASE.read_text("utf-8")))["config"]
    whole = {key.removeprefix(PREFIX): value for key, value in config.items()} | sections
    return build("base", {key: value for key, value in whole.items() if value is not None and ":" not in key})


def _managed(settings: Settings) -> set[str]:
    return {addon for addon, word in choices_of(settings.asked).items() if word == "managed"}


class TestOnEks:
    def test_a_stack_that_says_nothing_gets_what_it_needs(self) -> None:
        # It has GPUs on Amazon Linux, an autoscaler of kind hpa, elastic pools and an edge.
        asked_for = {
            "dcgm_exporter",
            "nvidia_device_plugin",
            "prometheus_adapter",
            "karpenter",
            "load_balancer_controller",
        }
        assert _managed(_stack()) == ALWAYS_ON_EKS | asked_for

    def test_what_nothing_asks_for_is_off(self) -> None:
        choices = choices_of(_stack().asked)
        assert {addon for addon, word in choices.items() if word == "off"} == set(
            Addons.model_fields
        ) - _managed(_stack())

    def test_without_an_edge_there_is_no_load_balancer_controller(self) -> None:
        assert "load_balancer_controller" not in _managed(_stack(edge=None))

    def test_a_database_brings_its_operator(self) -> None:
        assert "cloudnative_pg" in _managed(_stack(database=POSTGRES))

    def test_backups_are_a_chart_only_where_there_are_some(self) -> None:
        with_backups = {unit.name for unit in _stack(database=POSTGRES).asked.units("managed")}
        assert {"cloudnative-pg", "cloudnative-pg-backups"} <= with_backups
        alone = _stack(addons={"cloudnative_pg": "managed"}).asked.units("managed")
        assert {unit.name for unit in alone if unit.addon == "cloudnative_pg"} == {"cloudnative-pg"}

    def test_a_node_image_with_a_plugin_needs_none(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.prod.yaml")
        bottlerocket = [
            pool.model_copy(update={"node_image": "bottlerocket"}) if pool in settings.gpu_pools else pool
            for pool in settings.pools
        ]
        changed = settings.model_copy(update={"pools": tuple(bottlerocket)})
        assert changed.asked.choice("nvidia_device_plugin") == "off"
        assert changed.asked.choice("dcgm_exporter") == "managed"

    def test_models_that_are_off_ask_for_nothing(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.prod.yaml")
        models = tuple(model.model_copy(update={"enabled": False}) for model in settings.models)
        assert settings.asked.choice("prometheus_adapter") == "managed"
        off = settings.model_copy(update={"models": models})
        assert off.asked.choice("prometheus_adapter") == "off"


class TestElsewhere:
    def test_on_a_cluster_that_exists_kserve_is_there_and_nothing_else(self) -> None:
        settings = _stack(
            cluster=EXISTING, storage=None, edge=None, addons={"prometheus_adapter": "existing"}
        )
        on = {addon: word for addon, word in choices_of(settings.asked).items() if word != "off"}
        assert on == {"kserve": "existing", "prometheus_adapter": "existing"}

    def test_in_a_rehearsal_too(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.local.yaml")
        on = {addon: word for addon, word in choices_of(settings.asked).items() if word != "off"}
        assert on == {"kserve": "existing"}


@pytest.mark.parametrize("word", ["managed", "off"])
def test_the_stack_s_own_word_decides(word: str) -> None:
    assert _stack(addons={"tempo": word}).asked.choice("tempo") == word


def test_units_are_those_of_the_asked_words_in_the_catalogue_s_order() -> None:
    asked = _stack(addons={"istio": "off"}).asked
    units = [unit.name for unit in asked.units("managed")]
    assert "istiod" not in units
    assert {"istio-base", "istiod", "istio-cni", "ztunnel"} <= {unit.name for unit in asked.units("off")}
    assert units == [unit.name for unit in asked.catalogue if unit.name in units]
