"""The parts of a promotion: since when a set runs, whether objectives were kept, weights and charts in the target's file."""

import ast
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components.deployability import refuse_what_can_not_run
from components.telemetry.objective_rules import ERRORS as RECORDED
from components.telemetry.objective_rules import WINDOWS as RECORDED_WINDOWS
from components.telemetry.objective_rules import objectives_of
from components.unit_charts import CHART_OF
from ops.promotion.commits import Repository
from ops.promotion.release_set import ReleaseSet, running_set
from ops.promotion.slo import ERRORS, WINDOWS, budgets_of, judge_model, window_for
from ops.promotion.target_file import propose
from ops.promotion.updates import PROGRAM, current_run, earlier_run
from ops.rollout.prometheus import Prometheus
from ops.stack_edit import read_exactly
from settings import Settings, SettingsError, load_stack_file
from settings.loader import load_stack_text
from settings.promotion import Promotion
from tests.conftest import STACKS
from tests.promotion_stacks import FORMER, MODEL, stack_text
from tests.unit.promotion_world import DECIDING, HOUR, NOW, make_world, outputs_of, update_of

pytestmark = pytest.mark.unit

NEW = "sha256:" + "cd" * 32
OLD_TEXT, NEW_TEXT = stack_text("dev"), stack_text("dev", tag="v1.1", digest=NEW)


def same(*_: str) -> bool:
    return True


class TestSince:
    def test_updates_that_change_nothing_of_it_do_not_count(self) -> None:
        scaled = NEW_TEXT.replace("replicas: 1", "replicas: 2")
        updates = [
            update_of(scaled, "c", NOW - HOUR),
            update_of(NEW_TEXT, "b", NOW - 2 * HOUR, kind="refresh"),
            update_of(NEW_TEXT, "b", NOW - 3 * HOUR),
            update_of(OLD_TEXT, "a", NOW - 9 * HOUR),
        ]
        assert current_run("dev", updates, same).since == NOW - 3 * HOUR

    @pytest.mark.parametrize(
        "between",
        [
            {"text": OLD_TEXT},
            {"result": "failed"},
            {"kind": "destroy"},
            {"commit": None},
            {"text": NEW_TEXT.replace("config:\n", "config:\n  vllm-platform:builds: {cache: false}\n")},
        ],
        ids=["another set", "failed", "destroyed", "unknown program", "other builds"],
    )
    def test_what_may_have_changed_it_does(self, between: dict[str, Any]) -> None:
        other = {"text": NEW_TEXT, "commit": "b", **between}
        text, commit = other.pop("text"), other.pop("commit")
        updates = [
            update_of(NEW_TEXT, "c", NOW - HOUR),
            update_of(text, commit, NOW - 2 * HOUR, **other),
            update_of(NEW_TEXT, "a", NOW - 3 * HOUR),
        ]
        assert current_run("dev", updates, same).since == NOW - HOUR

    def test_so_does_another_program(self) -> None:
        updates = [update_of(NEW_TEXT, "b", NOW - HOUR), update_of(NEW_TEXT, "a", NOW - 3 * HOUR)]
        assert current_run("dev", updates, lambda one, other: one == other).since == NOW - HOUR

    @pytest.mark.parametrize("path", DECIDING)
    def test_and_another_program_is_one_of_other_charts_flags_or_images(
        self, path: str, tmp_path: Path
    ) -> None:
        world = make_world(tmp_path)
        commits = [world.change(path), world.change(path), world.change("docs/promotion.md")]
        old, new, same_as_new = (
            update_of(NEW_TEXT, commit, NOW - hours * HOUR)
            for commit, hours in zip(commits, (9, 3, 1), strict=True)
        )
        same_program = Repository(root=tmp_path).same_program
        assert current_run("dev", [same_as_new, new, old], same_program).since == NOW - 3 * HOUR

    @pytest.mark.parametrize("name", ["components/engine_args.py", "settings/image_build.py"])
    def test_what_flags_and_images_are_made_of_is_in_the_program(self, name: str, root: Path) -> None:
        tree = ast.parse((root / name).read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {f"{one.replace('.', '/')}.py" for one in modules if one.startswith("settings.")}
        # The one only puts the sections together; the other is of Jobs that bring weights, which their revision names.
        assert ours - {"settings/stack.py", "settings/fetch.py"} <= set(PROGRAM)
        assert [path for path in PROGRAM if not (root / path).exists()] == []

    def test_the_set_before_is_the_newest_other_one_that_came_up(self) -> None:
        updates = [
            update_of(NEW_TEXT, "c", NOW),
            update_of(stack_text("dev", tag="v0.9"), "b", NOW - HOUR, result="failed"),
            update_of(OLD_TEXT, "a", NOW - 2 * HOUR),
        ]
        now = {MODEL: {"image": {"tag": "v1.1"}}}
        earlier = earlier_run("dev", updates[1:], now)
        assert earlier.models[MODEL]["image"]["digest"] == FORMER
        assert earlier.update.ended == NOW - timedelta(hours=2)


def prometheus(shares: Mapping[str, float], requests: float = 100.0) -> Prometheus:
    """Answer from these shares by objective, and this count of requests."""
    import json  # noqa: PLC0415 - of this helper alone

    def get(_: str, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401
        asked = parameters["query"]
        result: list[dict[str, Any]] = (
            [{"metric": {"slo": slo}, "value": [0, str(share)]} for slo, share in shares.items()]
            if asked.startswith(ERRORS)
            else [{"metric": {}, "value": [0, str(requests)]}]
        )
        yield json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()

    return Prometheus(get)


class TestObjectives:
    promotion = Promotion(source="dev", min_requests=50)
    (model,) = load_stack_text("dev", OLD_TEXT).models

    def broken(self, shares: Mapping[str, float], requests: float = 100.0) -> str:
        kept = judge_model(prometheus(shares, requests), "llm-prod", self.model, self.promotion)
        return "; ".join(kept.broken)

    def test_within_their_budgets_they_are_kept(self) -> None:
        assert self.broken({"availability": 0.005, "first-token": 0.01}) == ""

    @pytest.mark.parametrize(
        ("shares", "why"),
        [
            ({"availability": 0.006, "first-token": 0.0}, "availability: 0.600% broke it in 1d, 0.500% may"),
            ({"availability": 0.0, "first-token": 0.02}, "first-token: 2.000% broke it"),
            ({"availability": 0.0}, "first-token: nothing is recorded over 1d"),
        ],
    )
    def test_else_or_where_nobody_can_say_they_are_not(self, shares: Mapping[str, float], why: str) -> None:
        assert why in self.broken(shares)

    def test_few_requests_say_nothing(self) -> None:
        assert "49 requests in 1d, and 50 say something" in self.broken(
            {"availability": 0.0, "first-token": 0.0}, 49
        )

    def test_names_windows_and_budgets_are_those_that_a_stack_records(self, local: Settings) -> None:
        assert ERRORS == RECORDED
        assert tuple(WINDOWS) == RECORDED_WINDOWS
        assert [window_for(seconds) for seconds in (0, 300, 86_399, 86_400, 10**7)] == [
            "5m", "5m", "6h", "1d", "3d",
        ]  # fmt: skip
        for model in local.models:
            recorded = {one.slo: one.budget for one in objectives_of("n", model, gateway=False)}
            assert budgets_of(model) == recorded


class TestTargetFile:
    def test_every_committed_stack_takes_its_own_set_without_a_change(self, root: Path) -> None:
        for stack in STACKS:
            settings = load_stack_file(root / f"Pulumi.{stack}.yaml")
            text = read_exactly(root / f"Pulumi.{stack}.yaml")
            digests = {model.name: NEW for model in settings.enabled_models}
            if stack == "local":
                continue  # its images have no digests, and a rehearsal builds none
            running = running_set(stack, outputs_of(settings, digests))
            proposal = propose((stack, settings, running), (stack, settings), text)
            built = any(model.image.is_built for model in settings.enabled_models)
            assert (proposal.text == text) is not built

    def test_weights_of_the_source_s_bucket_are_looked_for_in_the_target_s(self, root: Path) -> None:
        staging, prod = (load_stack_file(root / f"Pulumi.{name}.yaml") for name in ("staging", "prod"))
        text = read_exactly(root / "Pulumi.prod.yaml")
        running = running_set("staging", outputs_of(staging))
        proposal = propose(("staging", staging, running), ("prod", prod), text)
        assert proposal.text == text
        assert proposal.changes == ()

    def test_charts_are_pinned_and_another_version_is_not_deployed(self, root: Path) -> None:
        staging, prod = (load_stack_file(root / f"Pulumi.{name}.yaml") for name in ("staging", "prod"))
        text = read_exactly(root / "Pulumi.prod.yaml")
        charts = {unit: CHART_OF[unit].version for unit in ("kserve", "keda", "prometheus", "istiod", "loki")}
        running = ReleaseSet(models=running_set("staging", outputs_of(staging)).models, charts=charts)
        proposal = propose(("staging", staging, running), ("prod", prod), text)
        pinned = load_stack_text("prod", proposal.text)
        assert pinned.promotion is not None
        assert pinned.promotion.pins == charts
        assert "      - {name: kserve, version: v0.20.0}\n" in proposal.text
        refuse_what_can_not_run(pinned, stack="prod", preview=True)
        other = load_stack_text(
            "prod", proposal.text.replace("name: kserve, version: v0.20.0", "name: kserve, version: v0.19.0")
        )
        with pytest.raises(
            SettingsError, match=r"(?s)charts\[kserve\]\.version.*v0\.20\.0, which was not promoted"
        ):
            refuse_what_can_not_run(other, stack="prod", preview=False)
