"""The content filter of a stack: what the image's middleware reads of it, and how it gets to the pods."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import Provider
from vllm_platform_middleware import content_filter as in_the_image
from vllm_platform_middleware import guard as guard_in_the_image

from components.content_filter import FILE, MOUNT, config_map_name, filter_content, filter_text
from components.inference_service import Serving
from components.model_service import ModelService, ModelServiceArgs
from ops.recorder import Recorder
from settings import Settings
from settings.content_filter import (
    BODY_BYTES,
    BUDGET_MS,
    NoFilter,
    Rule,
    RuleFilter,
    ServerGuard,
    StackGuard,
)
from settings.weights import RESERVED_PATHS

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
RULES = RuleFilter(
    kind="rules",
    rules=(Rule(name="keys", patterns=("AKIA[0-9A-Z]{16}",)), Rule(name="project", words=("project x",))),
    max_characters=1000,
    guard=StackGuard(kind="model", model="guard", budget_ms=200, refuse=("unsafe", "controversial")),
)


class TestFile:
    def test_the_middleware_reads_what_the_settings_say(self, tmp_path: Path) -> None:
        file = tmp_path / FILE
        file.write_text(filter_text(RULES, "llm-prod"), encoding="utf-8")
        read = in_the_image.load(file)
        assert read is not None
        assert [rule.name for rule in read.rules] == ["keys", "project"]
        assert (read.max_characters, read.max_body_bytes) == (1000, BODY_BYTES)
        assert read.guard is not None
        assert read.guard.url == "http://guard-predictor.llm-prod.svc.cluster.local"
        assert (read.guard.model, read.guard.budget_ms, read.guard.fail_open) == ("guard", 200, False)
        assert read.guard.refuse == {"unsafe", "controversial"}

    def test_a_guard_elsewhere_is_asked_where_it_is(self) -> None:
        guard = ServerGuard(kind="server", url="https://guard.internal", model="g", fail_open=True)
        content = filter_content(RULES.model_copy(update={"guard": guard}), "llm-prod")
        read = in_the_image.from_content(content).guard
        assert read is not None
        assert (read.url, read.model, read.fail_open) == ("https://guard.internal", "g", True)

    def test_defaults_are_the_middleware_s_own(self) -> None:
        assert in_the_image.BODY_BYTES == BODY_BYTES
        assert guard_in_the_image.BUDGET_MS == BUDGET_MS
        bare = in_the_image.from_content(filter_content(RuleFilter(kind="rules", max_characters=5), "x"))
        assert bare == in_the_image.from_content({"max_characters": 5})

    def test_its_name_changes_with_its_content_and_only_with_it(self) -> None:
        other = RULES.model_copy(update={"max_characters": 1001})
        names = {config_map_name("chat", filter_text(rules, "ns")) for rules in (RULES, RULES, other)}
        assert len(names) == 2
        assert all(name.startswith("chat-filter-") and len(name) <= 63 for name in names)


class TestWhichFilter:
    def test_a_model_without_its_own_has_the_stack_s(self, local: Settings) -> None:
        settings = local.model_copy(update={"content_filter": RULES})
        assert all(settings.filter_of(model) == RULES for model in settings.models)

    def test_its_own_goes_before_the_stack_s(self, local: Settings) -> None:
        settings = local.model_copy(update={"content_filter": RULES})
        model = settings.models[0].model_copy(update={"content_filter": NoFilter(kind="off")})
        assert settings.filter_of(model) == NoFilter(kind="off")

    def test_requests_of_the_guard_itself_are_not_filtered(self, local: Settings) -> None:
        name = local.models[0].name
        rules = RULES.model_copy(update={"guard": StackGuard(kind="model", model=name)})
        settings = local.model_copy(update={"content_filter": rules})
        assert settings.filter_of(settings.models[0]) == NoFilter(kind="off")
        assert settings.filter_of(settings.models[1]) == rules


def _objects(deploy: Deploy, settings: Settings, text: str | None) -> Recorder:
    model = settings.models[0]
    pool = settings.pool_of(model)
    serving = Serving(
        model=model,
        pool=pool,
        zones=settings.zones_of(pool),
        region="us-east-1",
        image=settings.image_reference(model),
        content_filter=text,
    )

    def program() -> None:
        args = ModelServiceArgs(
            prometheus="http://prometheus:9090", namespace="llm-prod", priority_class="core", serving=serving
        )
        ModelService(
            model.name, args, pulumi.ResourceOptions(providers=[Provider("kubernetes", kubeconfig="{}")])
        )

    return deploy(program)


def _pod(recorder: Recorder) -> dict[str, Any]:
    (service,) = [r for r in recorder.registrations if r.name.endswith("-inference")]
    return service.inputs["spec"]["predictor"]


class TestPod:
    def test_it_finds_the_file_that_its_variable_names(self, deploy: Deploy, local: Settings) -> None:
        text = filter_text(RULES, "llm-prod")
        recorder = _objects(deploy, local, text)
        config = recorder.one("kubernetes:core/v1:ConfigMap").inputs
        assert json.loads(config["data"][FILE])["rules"][0]["name"] == "keys"
        assert config["immutable"] is True
        pod = _pod(recorder)
        (volume,) = [v for v in pod["volumes"] if "configMap" in v]
        assert (
            volume["configMap"]["name"] == config["metadata"]["name"] == config_map_name("qwen-7b-vllm", text)
        )
        container = pod["containers"][0]
        assert {"name": volume["name"], "mountPath": MOUNT, "readOnly": True} in container["volumeMounts"]
        assert {"name": "VP_FILTER_FILE", "value": f"{MOUNT}/{FILE}"} in container["env"]

    def test_without_a_filter_there_is_nothing_of_it(self, deploy: Deploy, local: Settings) -> None:
        recorder = _objects(deploy, local, None)
        assert recorder.of_type("kubernetes:core/v1:ConfigMap") == []
        assert "VP_FILTER_FILE" not in str(_pod(recorder))

    def test_no_weights_can_lie_under_it(self) -> None:
        assert any(MOUNT.startswith(f"{reserved}/") for reserved in RESERVED_PATHS)
