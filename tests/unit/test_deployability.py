"""What stops a program before it deploys: settings that are right and still can not run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.deployability import placeholder_images, refuse_what_can_not_run
from components.state_backend import PulumiRun
from ops.recorder import Recorder
from settings import EXAMPLE_DIGEST, ExistingCluster, Settings, SettingsError, load_stack_file
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]

EXISTING = ExistingCluster(
    kind="existing",
    kubeconfig="~/.kube/config",
    context="their-cluster",
    region="eu-west-1",
    zones=("eu-west-1a",),
)


@pytest.fixture(scope="module")
def eks() -> Settings:
    """Prod, with images that were pushed."""
    prod = load_stack_file(ROOT / "Pulumi.prod.yaml")
    pushed = (
        model.model_copy(
            update={"image": model.image.model_copy(update={"digest": "sha256:" + f"{index}" * 64})}
        )
        for index, model in enumerate(prod.models, start=1)
    )
    return prod.model_copy(update={"models": tuple(pushed)})


def switched_off(settings: Settings) -> Settings:
    off = (model.model_copy(update={"enabled": False}) for model in settings.models)
    return settings.model_copy(update={"models": tuple(off)})


def with_example_digest(settings: Settings, **changes: Any) -> Settings:  # noqa: ANN401
    first, *others = settings.models
    image = first.image.model_copy(update={"digest": EXAMPLE_DIGEST})
    models = (first.model_copy(update={"image": image}), *others)
    return settings.model_copy(update={"models": models, **changes})


def run_in(folder: Path, **environment: str) -> PulumiRun:
    return PulumiRun(environment=environment, folder=folder, home=folder / "home")


class TestImages:
    def test_a_rehearsal_takes_images_that_nobody_pushed(self, local: Settings) -> None:
        refuse_what_can_not_run(with_example_digest(local), stack="local", preview=False)

    def test_up_refuses_the_example_digest_and_names_the_model(self, local: Settings) -> None:
        settings = with_example_digest(local, cluster=EXISTING)
        with pytest.raises(SettingsError, match=re.escape(f"models[{local.models[0].name}].image.digest")):
            refuse_what_can_not_run(settings, stack="prod", preview=False)

    def test_a_preview_warns_of_the_example_digest(self, local: Settings, deploy: Deploy) -> None:
        settings = with_example_digest(local, cluster=EXISTING)
        recorder = deploy(lambda: refuse_what_can_not_run(settings, stack="prod", preview=True))
        (warning,) = recorder.log.warnings
        assert local.models[0].name in warning

    def test_a_model_that_is_off_needs_no_image(self, local: Settings) -> None:
        assert placeholder_images(switched_off(with_example_digest(local, cluster=EXISTING))) == []


class TestModels:
    def test_up_creates_a_cluster_without_models(self, eks: Settings, deploy: Deploy) -> None:
        off = switched_off(eks)
        recorder = deploy(lambda: refuse_what_can_not_run(off, stack="prod", preview=False))
        assert recorder.log.warnings == []

    @pytest.mark.parametrize("preview", [True, False])
    def test_models_on_a_cluster_that_is_there_are_deployed(
        self, eks: Settings, deploy: Deploy, *, preview: bool
    ) -> None:
        there = eks.model_copy(update={"cluster": EXISTING})
        recorder = deploy(lambda: refuse_what_can_not_run(there, stack="prod", preview=preview))
        assert recorder.log.warnings == []


class TestState:
    @pytest.mark.parametrize("preview", [True, False])
    def test_another_backend_is_refused_by_preview_and_up(
        self, eks: Settings, tmp_path: Path, *, preview: bool
    ) -> None:
        run = run_in(tmp_path, PULUMI_BACKEND_URL="file://~")
        with pytest.raises(SettingsError, match=re.escape("state.backend: Pulumi would keep")):
            refuse_what_can_not_run(switched_off(eks), stack="prod", preview=preview, run=run)

    def test_up_tells_what_is_wrong_with_state_and_images_at_once(
        self, eks: Settings, tmp_path: Path
    ) -> None:
        run = run_in(tmp_path, PULUMI_BACKEND_URL="file://~")
        settings = with_example_digest(switched_off(eks))
        enabled = tuple(model.model_copy(update={"enabled": True}) for model in settings.models[:1])
        settings = settings.model_copy(update={"models": enabled})
        with pytest.raises(SettingsError) as refusal:
            refuse_what_can_not_run(settings, stack="prod", preview=False, run=run)
        assert len(refusal.value.problems) == 2

    def test_the_stack_s_own_backend_and_key_pass(
        self, eks: Settings, tmp_path: Path, deploy: Deploy
    ) -> None:
        assert eks.state
        (tmp_path / "Pulumi.prod.yaml").write_text(f"secretsprovider: {eks.state.secrets_provider}\n")
        run = run_in(tmp_path, PULUMI_BACKEND_URL=eks.state.backend)
        off = switched_off(eks)
        recorder = deploy(lambda: refuse_what_can_not_run(off, stack="prod", preview=False, run=run))
        assert recorder.log.warnings == []

    def test_what_can_not_be_found_out_is_a_warning(
        self, eks: Settings, tmp_path: Path, deploy: Deploy
    ) -> None:
        off = switched_off(eks)
        recorder = deploy(
            lambda: refuse_what_can_not_run(off, stack="prod", preview=False, run=run_in(tmp_path))
        )
        assert [warning.partition(":")[0] for warning in recorder.log.warnings] == [
            "can not find out where Pulumi keeps this run's state",
            "can not find out what encrypts this stack's secrets",
        ]

    def test_a_rehearsal_keeps_its_state_where_it_likes(
        self, eks: Settings, local: Settings, tmp_path: Path
    ) -> None:
        rehearsed = local.model_copy(update={"state": eks.state})
        run = run_in(tmp_path, PULUMI_BACKEND_URL="file://~")
        refuse_what_can_not_run(rehearsed, stack="prod", preview=False, run=run)

    def test_a_stack_that_says_nothing_of_its_state_is_asked_nothing(
        self, eks: Settings, tmp_path: Path, deploy: Deploy
    ) -> None:
        silent = switched_off(eks).model_copy(update={"state": None})
        recorder = deploy(
            lambda: refuse_what_can_not_run(silent, stack="prod", preview=False, run=run_in(tmp_path))
        )
        assert recorder.log.warnings == []
