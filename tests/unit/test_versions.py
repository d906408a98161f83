"""The versions of a model during a rollout: what each runs, and how many replicas of it there are."""

from typing import Any

import pytest

from settings import (
    CanaryRollout,
    Candidate,
    FixedScaling,
    HpaScaling,
    Image,
    Model,
    Release,
    ReleaseChange,
    RollingRollout,
    Settings,
)
from settings.keda import Fallback, KedaScaling, Targets, Window
from settings.rollout import share_of
from settings.versions import Canary, canary_of, most_at_once, stable_of, versions_of

pytestmark = pytest.mark.unit

NEXT = Image(repository="llm/vllm-qwen-7b-awq", tag="v1.1")
STEPS = (0, 5, 25, 50, 100)


def model_of(
    local: Settings, step: int | None, *, replicas: int | None = None, steps: tuple[int, ...] = STEPS
) -> Model:
    """Return a model with 3 to 20 replicas and a candidate at a step, or with none."""
    (model,) = [model for model in local.models if model.name == "qwen-7b-vllm"]
    release = ReleaseChange(image=NEXT)
    candidate = None if step is None else Candidate(release=release, step=step, replicas=replicas)
    rollout = CanaryRollout(kind="canary", steps=steps, candidate=candidate)
    scaling = HpaScaling(kind="hpa", min=3, max=20)
    return model.model_copy(update={"rollout": rollout, "autoscaling": scaling})


def canary(model: Model) -> Canary:
    found = canary_of(model)
    assert found is not None
    return found


class TestRelease:
    def test_it_is_what_a_model_runs_and_nothing_of_where(self, local: Settings) -> None:
        model = local.models[0]
        assert model.release == Release(
            image=model.image,
            model=model.model,
            source=model.source,
            revision=model.revision,
            weights=model.weights,
            engine=model.engine,
        )

    def test_what_a_candidate_does_not_give_is_the_stable_version_s(self, local: Settings) -> None:
        model = model_of(local, 0)
        assert canary(model).release == model.release.model_copy(update={"image": NEXT})

    def test_it_survives_a_stack_s_outputs(self, local: Settings) -> None:
        for model in local.models:
            dumped = model.release.model_dump(mode="json", exclude_none=True)
            assert Release.model_validate(dumped) == model.release
            assert ReleaseChange.model_validate(dumped).applied_to(local.models[0].release) == model.release


class TestVersions:
    def test_without_a_candidate_there_is_the_model_alone(self, local: Settings) -> None:
        model = model_of(local, None)
        assert versions_of(model) == (model,)
        assert versions_of(local.models[1]) == (local.models[1],)

    def test_both_answer_to_one_name_and_are_told_apart(self, local: Settings) -> None:
        model = model_of(local, 0)
        new = canary(model)
        assert (new.name, new.served_name, new.track) == ("qwen-7b-vllm-canary", "qwen-7b-vllm", "canary")
        assert (model.served_name, model.track) == ("qwen-7b-vllm", "stable")

    def test_all_else_is_the_model_s(self, local: Settings) -> None:
        model = model_of(local, 0)
        same = set(Model.model_fields) - {"name", "autoscaling", "rollout", *Release.model_fields}
        new = canary(model)
        assert {key: getattr(new, key) for key in same} == {key: getattr(model, key) for key in same}

    def test_a_candidate_has_no_candidate(self, local: Settings) -> None:
        assert canary_of(canary(model_of(local, 0))) is None

    def test_a_stack_deploys_both(self, local: Settings) -> None:
        model = model_of(local, 0)
        stack = local.model_copy(update={"models": (model, local.models[1])})
        names = [version.name for version in stack.deployed_models]
        assert names == ["qwen-7b-vllm", "qwen-7b-vllm-canary", "qwen3-235b-a22b"]
        assert stack.pool_of(canary(model)) == stack.pool_of(model)


class TestReplicas:
    @pytest.mark.parametrize(
        ("replicas", "weight", "share"), [(3, 0, 1), (3, 5, 1), (3, 34, 2), (3, 100, 3), (20, 25, 5)]
    )
    def test_a_share_is_rounded_up(self, replicas: int, weight: int, share: int) -> None:
        assert share_of(replicas, weight) == share

    @pytest.mark.parametrize(("step", "least"), [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3)])
    def test_they_are_there_one_step_ahead_of_the_traffic(
        self, local: Settings, step: int, least: int
    ) -> None:
        assert canary(model_of(local, step)).min_replicas == least

    @pytest.mark.parametrize(("step", "most"), [(0, 1), (1, 1), (2, 5), (3, 10), (4, 20)])
    def test_a_scaler_takes_no_more_than_the_share_is_worth(
        self, local: Settings, step: int, most: int
    ) -> None:
        assert canary(model_of(local, step)).max_replicas == most

    def test_shares_are_of_what_ran_when_the_rollout_began(self, local: Settings) -> None:
        model = model_of(local, 3, replicas=12)
        assert canary(model).min_replicas == 12
        assert canary(model_of(local, 1, replicas=12)).min_replicas == 3

    def test_the_stable_version_can_take_all_of_it_back_at_any_step(self, local: Settings) -> None:
        for step in range(len(STEPS)):
            stable = stable_of(model_of(local, step, replicas=12))
            assert (stable.min_replicas, stable.max_replicas) == (12, 20)

    def test_each_keeps_the_kind_of_its_scaler(self, local: Settings) -> None:
        model = model_of(local, 3)
        fixed = model.model_copy(update={"autoscaling": FixedScaling(kind="fixed", replicas=4)})
        assert canary(fixed).autoscaling == FixedScaling(kind="fixed", replicas=4)
        assert stable_of(fixed).autoscaling == fixed.autoscaling
        assert canary(model).autoscaling.kind == "hpa"

    def test_one_step_back_leaves_enough_for_the_weight_that_the_route_still_has(
        self, local: Settings
    ) -> None:
        for step in range(1, len(STEPS)):
            now, back = model_of(local, step), model_of(local, step - 1)
            assert isinstance(now.rollout, CanaryRollout)
            assert canary(back).min_replicas >= share_of(3, now.rollout.weight)


class TestKeda:
    """Of a model with 2 to 20 replicas, at 5 percent with 50 percent next."""

    def _canary(self, local: Settings, **scaling: Any) -> KedaScaling:  # noqa: ANN401
        model = model_of(local, 1, steps=(0, 5, 50, 100))
        keda = KedaScaling(kind="keda", min=2, max=20, **scaling)
        found = canary(model.model_copy(update={"autoscaling": keda})).autoscaling
        assert isinstance(found, KedaScaling)
        return found

    def test_floors_are_shares_and_those_that_add_nothing_go(self, local: Settings) -> None:
        hours = {"timezone": "UTC", "start": "0 8 * * *", "end": "0 20 * * *"}
        windows = (
            Window(name="day", replicas=12, **hours),
            Window(name="evening", replicas=2, **hours),
        )
        fallback = Fallback(failures=2, replicas=4)
        found = self._canary(local, windows=windows, fallback=fallback)
        assert (found.min, found.max) == (1, 6)
        assert [(window.name, window.replicas) for window in found.windows] == [("day", 6)]
        assert (found.fallback.failures, found.fallback.replicas) == (2, 2)

    def test_the_gateway_s_demand_is_of_both_versions_and_so_of_neither(self, local: Settings) -> None:
        found = self._canary(local, signals=("waiting", "gateway-demand"))
        assert found.signals == ("waiting",)

    def test_one_that_was_scaled_by_that_alone_is_scaled_by_its_engines(self, local: Settings) -> None:
        found = self._canary(local, signals=("gateway-demand",))
        assert found.signals == ("running", "waiting", "kv-cache")

    def test_all_else_is_the_model_s(self, local: Settings) -> None:
        targets = Targets(waiting=9)
        assert self._canary(local, targets=targets).targets == targets


class TestMostAtOnce:
    def test_a_rolling_update_adds_its_surge(self, local: Settings) -> None:
        model = local.models[0].model_copy(update={"rollout": RollingRollout(kind="rolling", max_surge=2)})
        assert most_at_once(model) == ((model, model.max_replicas + 2),)

    def test_a_canary_to_come_adds_what_stands_beside_it_and_the_surge(self, local: Settings) -> None:
        model = model_of(local, None)
        assert most_at_once(model) == ((model, 20 + 3 + 1),)

    def test_a_canary_under_way_is_counted_at_its_last_step_whatever_the_step(self, local: Settings) -> None:
        for step in range(len(STEPS)):
            model = model_of(local, step)
            assert most_at_once(model) == ((model, 3 + 1), (canary(model), 20))

    def test_a_candidate_of_fewer_gpus_needs_the_most_in_the_beginning(self, local: Settings) -> None:
        moe = local.models[1]
        engine = moe.engine.model_copy(update={"tensor_parallel_size": 1})
        candidate = Candidate(release=ReleaseChange(engine=engine))
        rollout = CanaryRollout(kind="canary", steps=(50, 100), max_surge=0, candidate=candidate)
        model = moe.model_copy(
            update={"rollout": rollout, "autoscaling": HpaScaling(kind="hpa", min=1, max=6)}
        )
        (_, old), (_, new) = most_at_once(model)
        assert (old, new) == (3, 3)
