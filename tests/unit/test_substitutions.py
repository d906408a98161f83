"""The one table of what a rehearsal puts in the place of what."""

from pathlib import Path

import pytest
import yaml

from rehearsal.rehearse import plan
from rehearsal.substitutions import NO_PROMETHEUS, substitute
from settings import load_stack_file
from settings.storage import CompatibleBucket

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_only_what_a_row_names_is_swapped(stack: str) -> None:
    original = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    changed = plan(stack, ROOT).config
    differing = {key for key in {*original, *changed} if original.get(key) != changed.get(key)}
    swapped = {"cluster", "registry", "storage", "edge", "state", "addons", "observability", "database"}
    if load_stack_file(ROOT / f"Pulumi.{stack}.yaml").request_limits:
        swapped.add("gateway")
    swapped |= {"secrets", "audit"}
    either = {*original, *changed}
    assert differing == {key for key in either if key.removeprefix("vllm-platform:") in swapped}


def test_routes_are_objects_of_real_kinds_without_a_proxy() -> None:
    addons = plan("prod", ROOT).config["vllm-platform:addons"]
    assert (addons["gateway_api"], addons["envoy_gateway"]) == ("existing", "existing")
    rows = {row.what: row for row in plan("prod", ROOT).substitutions}
    assert "shares of traffic" in rows["routes"].not_exercised
    assert "routes" not in {row.what for row in plan("local", ROOT).substitutions}


def test_limits_are_the_stack_s_own_without_what_counts() -> None:
    own, rehearsed = load_stack_file(ROOT / "Pulumi.prod.yaml"), plan("prod", ROOT).settings
    assert rehearsed.request_limits == own.request_limits
    assert rehearsed.gateway.model_copy(update={"limits": own.gateway.limits}) == own.gateway
    assert (
        "counting" in {row.what: row for row in plan("prod", ROOT).substitutions}["rate limits"].not_exercised
    )


def test_pools_models_and_image_references_are_the_stack_s_own() -> None:
    own = load_stack_file(ROOT / "Pulumi.prod.yaml")
    rehearsed = plan("prod", ROOT).settings
    assert rehearsed.cluster.kind == "rehearsal"
    assert rehearsed.pools == own.pools
    assert rehearsed.models == own.models
    assert [rehearsed.image_reference(m) for m in rehearsed.models] == [
        own.image_reference(m) for m in own.models
    ]


def test_every_swap_is_told_with_what_is_not_exercised() -> None:
    rows = {row.what: row for row in plan("prod", ROOT).substitutions}
    assert rows["cluster"].stack == "eks, us-east-1"
    assert "ecr" in rows["registry"].stack
    assert "a10-spot (spot)" in rows["capacity"].stack
    assert all(row.not_exercised for row in rows.values())


def test_of_storage_the_claim_stays_and_all_that_is_aws_goes() -> None:
    own = load_stack_file(ROOT / "Pulumi.prod.yaml").storage
    rehearsed = plan("prod", ROOT).settings.storage
    assert (own.bucket.kind, own.shared.kind) == ("created", "efs")
    assert (rehearsed.bucket.kind, rehearsed.shared.kind) == ("off", "nfs")
    assert rehearsed.shared.model_dump()["claim"] == own.shared.model_dump()["claim"]


def test_a_store_that_is_not_of_aws_stays_the_stack_s_own() -> None:
    path = ROOT / "Pulumi.prod.yaml"
    config = yaml.safe_load(path.read_text())["config"]
    settings = load_stack_file(path)
    stored = {"name": "m-1", "endpoint": "https://s3.internal", "credentials_secret": "s3-keys"}
    bucket = CompatibleBucket.model_validate({"kind": "compatible", **stored})
    own = settings.model_copy(update={"storage": settings.storage.model_copy(update={"bucket": bucket})})
    changed, _ = substitute(config, own, "prod")
    assert changed["vllm-platform:storage"]["bucket"] == bucket.model_dump()


def test_a_rehearsal_stack_is_not_swapped_but_still_says_what_is_simulated() -> None:
    chosen = plan("local", ROOT)
    assert "cluster" not in {row.what for row in chosen.substitutions}
    assert "pods" in {row.what for row in chosen.substitutions}


def test_what_scales_by_keda_meets_keda_and_asks_nobody_on_another_machine() -> None:
    chosen = plan("prod", ROOT)
    units = {unit.name for unit in chosen.settings.asked.units("existing")}
    assert {"keda", "prometheus-definitions"} <= units
    assert chosen.settings.observability.prometheus_url == NO_PROMETHEUS
    assert "qwen-7b-vllm" in {row.what: row for row in chosen.substitutions}["scaler's signals"].stack


def test_without_keda_none_is_started() -> None:
    assert "keda" not in {unit.name for unit in plan("dev", ROOT).settings.asked.units("existing")}


def test_the_input_is_left_as_it_is() -> None:
    path = ROOT / "Pulumi.prod.yaml"
    config = yaml.safe_load(path.read_text())["config"]
    before = yaml.safe_dump(config)
    substitute(config, load_stack_file(path), "prod")
    assert yaml.safe_dump(config) == before


def test_a_stack_that_tells_of_alerts_tells_nobody_in_a_rehearsal() -> None:
    """There is no Alertmanager; with receivers the settings would be refused."""
    chosen = plan("prod", ROOT)
    assert load_stack_file(ROOT / "Pulumi.prod.yaml").observability.alerting is not None
    assert chosen.settings.observability.alerting is None
    rows = {row.what: row for row in chosen.substitutions}
    assert rows["who is told of alerts"].stack == "on-call (pagerduty), team (slack), heartbeat (webhook)"
    assert "who is told of alerts" not in {row.what for row in plan("staging", ROOT).substitutions}
