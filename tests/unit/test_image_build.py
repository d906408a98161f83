"""How the program builds an image, or asks for one, and what its pods then name."""

import gc
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
import weight_sources
from pulumi_aws import Provider as AwsProvider
from pulumi_docker_build import Provider as BuildProvider

from components.aws.ecr_access import ecr_access
from components.aws.image_repositories import ImageRepositories, ImageRepositoriesArgs
from components.images import create_images
from components.registry_access import RegistryLogin
from components.vllm_image import VllmImage, VllmImageArgs
from ops.image import image_command
from ops.recorder import HIDDEN, Recorder
from rehearsal.errors import UserError
from settings import EXAMPLE_DIGEST, BakedWeights, Model, Settings, load_stack_file
from settings.builds import BASE, FETCH_BASE, Builds, EcrLogin, PasswordLogin
from settings.image_build import CONTEXT, DOCKERFILE, MODEL_PATH, ImagePlan, image_plan
from settings.registry import EcrRegistry, ExternalRegistry
from settings.sources import BucketSource, HuggingFaceSource
from settings.storage import CompatibleBucket

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
DIGEST = "sha256:" + "ab" * 32
BUILT = "docker-build:index:Image"


@pytest.fixture(scope="module")
def dev(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.dev.yaml")


def _with(settings: Settings, builds: Builds | None = None, **image: Any) -> Settings:  # noqa: ANN401
    """Change the images of all models."""
    models = tuple(
        model.model_copy(update={"image": model.image.model_copy(update=image)}) for model in settings.models
    )
    return settings.model_copy(update={"models": models, "builds": builds or settings.builds})


def _baked(settings: Settings) -> Model:
    return next(model for model in settings.models if isinstance(model.weights, BakedWeights))


def _existing(settings: Settings, **changes: Any) -> Settings:  # noqa: ANN401
    """The stack on a cluster that somebody else made, with a registry of theirs."""
    cluster = type("Existing", (), {"kind": "existing"})()
    registry = ExternalRegistry(kind="external", host="harbor.internal:5000/team")
    return settings.model_copy(update={"cluster": cluster, "registry": registry, **changes})


class TestPlan:
    def test_a_baked_model_is_built_with_its_own_weights(self, dev: Settings) -> None:
        model = _baked(dev)
        plan = image_plan(dev, model)
        assert plan.target == "baked"
        assert plan.tag == f"{dev.registry.host}/{model.image.repository}:{model.image.tag}"
        expected = {"MODEL": model.model, "REVISION": model.revision, "SOURCE": "huggingface"}
        assert expected.items() <= plan.arguments.items()
        assert plan.arguments["QUANTIZATION"] == model.facts.quantization
        assert plan.arguments["LICENCE"] == model.facts.licence

    def test_weights_that_come_later_are_not_in_it(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.local.yaml")
        streamed = next(model for model in settings.models if model.weights.kind == "s3")
        plan = image_plan(settings, streamed)
        assert plan.target == "plain"
        assert set(plan.arguments) == {"BASE", "VERSION"}

    def test_a_bucket_is_named_by_its_address(self, dev: Settings) -> None:
        source = BucketSource(kind="s3", uri="s3://company/chat")
        plan = image_plan(dev, _baked(dev).model_copy(update={"source": source}))
        assert (plan.arguments["SOURCE"], plan.arguments["MODEL"]) == ("s3", "s3://company/chat")

    def test_a_mirror_is_asked_where_one_is_named(self, dev: Settings) -> None:
        source = HuggingFaceSource(kind="huggingface", endpoint="https://hub.internal/")
        plan = image_plan(dev, _baked(dev).model_copy(update={"source": source}))
        assert plan.arguments["ENDPOINT"] == "https://hub.internal"
        assert "ENDPOINT" not in image_plan(dev, _baked(dev)).arguments

    @pytest.mark.parametrize(("uri", "asked"), [("s3://llm/chat", True), ("s3://other/chat", False)])
    def test_the_stack_s_own_store_is_asked_for_what_lies_in_its_bucket(
        self, dev: Settings, uri: str, *, asked: bool
    ) -> None:
        store = CompatibleBucket(
            kind="compatible",
            name="llm",
            endpoint="https://s3.internal",
            credentials_secret="keys",  # noqa: S106 - the name of a Secret
        )
        storage = dev.storage.model_copy(update={"bucket": store})
        model = _baked(dev).model_copy(update={"source": BucketSource(kind="s3", uri=uri)})
        arguments = image_plan(dev.model_copy(update={"storage": storage}), model).arguments
        assert arguments.get("ENDPOINT") == ("https://s3.internal" if asked else None)

    @pytest.mark.parametrize(
        "endpoint", ["https://hub.internal", "https://hub.internal:8443", "https://h-1.internal/a/b_c.d/e"]
    )
    def test_what_the_settings_take_as_a_mirror_the_build_takes(self, endpoint: str) -> None:
        source = HuggingFaceSource(kind="huggingface", endpoint=endpoint)
        weight_sources.checked_endpoint("huggingface", source.endpoint or "")

    def test_files_that_run_code_are_taken_only_where_the_model_may_run_it(self, dev: Settings) -> None:
        model = _baked(dev)
        trusting = model.engine.model_copy(update={"trust_remote_code": object()})
        assert "ALLOW_CODE" not in image_plan(dev, model).arguments
        assert "ALLOW_CODE" in image_plan(dev, model.model_copy(update={"engine": trusting})).arguments

    def test_secrets_of_a_build_go_where_weights_are_fetched(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.local.yaml")
        settings = settings.model_copy(update={"builds": Builds(secrets=("hub_token",))})
        secrets = {model.weights.kind: image_plan(settings, model).secrets for model in settings.models}
        assert secrets == {"baked": ("hub_token",), "s3": ()}

    def test_every_argument_and_target_is_one_of_the_dockerfile(self, root: Path) -> None:
        text = (root / DOCKERFILE).read_text(encoding="utf-8")
        local = load_stack_file(root / "Pulumi.local.yaml")
        for model in local.models:
            plan = image_plan(local, model)
            declared = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
            assert set(plan.arguments) <= declared
            assert f" AS {plan.target}\n" in text
        assert f"ARG BASE={BASE}\n" in text
        assert f"ARG FETCH_BASE={FETCH_BASE}\n" in text
        assert f" --folder={MODEL_PATH.removeprefix('/')} " in text
        for secret in ("hub_token", "aws_credentials", "pip_conf"):
            assert f"type=secret,id={secret}" in text


def _build(deploy: Deploy, plan: ImagePlan, user: str | None = None, **changes: Any) -> Recorder:  # noqa: ANN401
    def program() -> None:
        password = cast("Any", pulumi.Output.secret("not-shown"))
        login = RegistryLogin(address="r.internal", username=user, password=password) if user else None
        secrets = {name: pulumi.Output.secret("not-shown") for name in plan.secrets}
        args = VllmImageArgs(plan=plan, login=login, secrets=cast("Any", secrets), **changes)
        VllmImage("image", args, pulumi.ResourceOptions(providers=[BuildProvider("builds")]))

    return deploy(program)


class TestBuild:
    def test_it_is_pushed_under_its_name_and_never_built_in_a_preview(
        self, deploy: Deploy, dev: Settings
    ) -> None:
        plan = image_plan(dev, _baked(dev))
        inputs = _build(deploy, plan).one(BUILT).inputs
        assert (inputs["tags"], inputs["push"], inputs["buildOnPreview"]) == ([plan.tag], True, False)
        assert inputs["platforms"] == ["linux/amd64"]
        assert inputs["buildArgs"] == plan.arguments
        assert inputs["context"]["location"] == CONTEXT

    def test_all_its_layers_are_kept_in_a_form_that_amazon_s_registry_takes(
        self, deploy: Deploy, dev: Settings
    ) -> None:
        inputs = _build(deploy, image_plan(dev, _baked(dev))).one(BUILT).inputs
        (kept,) = inputs["cacheTo"]
        assert kept["registry"] == {
            "ref": inputs["cacheFrom"][0]["registry"]["ref"],
            "mode": "max",
            "imageManifest": True,
            "ociMediaTypes": True,
            "ignoreError": True,
        }
        assert kept["registry"]["ref"].endswith(":cache")

    def test_without_a_cache_nothing_is_kept(self, deploy: Deploy, dev: Settings) -> None:
        settings = dev.model_copy(update={"builds": Builds(cache=False)})
        inputs = _build(deploy, image_plan(settings, _baked(settings))).one(BUILT).inputs
        assert not inputs.get("cacheTo")
        assert not inputs.get("cacheFrom")

    def test_no_secret_is_shown_and_a_new_token_builds_nothing(self, deploy: Deploy, dev: Settings) -> None:
        settings = dev.model_copy(update={"builds": Builds(secrets=("hub_token",))})
        recorder = _build(deploy, image_plan(settings, _baked(settings)), user="robot")
        assert "not-shown" not in str(recorder.registrations)
        inputs = recorder.one(BUILT).inputs
        assert inputs["secrets"] == {"hub_token": HIDDEN} or inputs["secrets"] == HIDDEN
        assert inputs["ignoreSecretsInDiffCalculation"] == ["hub_token"]

    def test_the_machine_s_own_buildx_is_a_choice(self, deploy: Deploy, dev: Settings) -> None:
        plan = image_plan(dev, _baked(dev))
        assert _build(deploy, plan).one(BUILT).inputs["exec"] is False
        own = _build(deploy, plan, own_buildx=True, builder="big").one(BUILT).inputs
        assert (own["exec"], own["builder"]) == (True, {"name": "big"})

    def test_what_it_pushed_stays_when_it_goes(
        self, deploy: Deploy, dev: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept: dict[str, bool] = {}
        register = Recorder.RegisterResource

        def noting(self: Recorder, request: Any) -> Any:  # noqa: ANN401
            kept[request.type] = request.retainOnDelete
            return register(self, request)

        monkeypatch.setattr(Recorder, "RegisterResource", noting)
        _build(deploy, image_plan(dev, _baked(dev)))
        assert kept[BUILT] is True


def _names(
    deploy: Deploy, settings: Settings, secrets: Mapping[str, str] | None = None
) -> tuple[Any, Recorder]:
    """Return the names of the images, by model, as their pods get them, and the record."""
    seen: dict[str, Any] = {}

    def program() -> None:
        values = {name: pulumi.Output.secret(value) for name, value in (secrets or {}).items()}
        for model, name in create_images(settings, None, values).items():
            pulumi.Output.from_input(name).apply(lambda text, model=model: seen.__setitem__(model, text))

    recorder = deploy(program)
    return seen, recorder


class TestNames:
    def test_a_digest_that_was_found_is_named_as_it_is_written(self, deploy: Deploy, dev: Settings) -> None:
        settings = _existing(_with(dev, digest=DIGEST))
        names, recorder = _names(deploy, settings)
        assert names == {m.name: settings.image_reference(m) for m in settings.enabled_models}
        assert all(name.endswith(f"@{DIGEST}") for name in names.values())
        (provider,) = recorder.of_type("pulumi:providers:docker")
        # It asks a registry as the machine is logged in, and no engine has to run.
        auth = str(provider.inputs["registryAuth"])
        assert "harbor.internal:5000" in auth
        assert "team" not in auth
        assert provider.inputs["disableDockerDaemonCheck"] in {True, "true"}

    def test_a_digest_that_is_not_there_ends_the_run(
        self, deploy: Deploy, dev: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Recorder, request: Any) -> Any:  # noqa: ANN401, ARG001
            message = f"{request.tok}: manifest unknown"
            raise RuntimeError(message)

        monkeypatch.setattr(Recorder, "Invoke", refuse)
        with pytest.raises(Exception, match="manifest unknown"):
            _names(deploy, _existing(_with(dev, digest=DIGEST)))
        # Tasks that failed with it are thrown away here, and not in the middle of another test.
        gc.collect()

    @pytest.mark.parametrize(("digest", "check"), [(None, True), (EXAMPLE_DIGEST, True), (DIGEST, False)])
    def test_nobody_is_asked_where_there_is_nothing_to_ask(
        self, deploy: Deploy, dev: Settings, *, digest: str | None, check: bool
    ) -> None:
        settings = _existing(_with(dev, Builds(check_digests=check), digest=digest, build=False))
        names, recorder = _names(deploy, settings)
        assert names == {m.name: settings.image_reference(m) for m in settings.enabled_models}
        assert recorder.of_type("pulumi:providers:docker") == []

    def test_an_image_that_is_built_is_named_by_the_digest_of_its_push(
        self, deploy: Deploy, dev: Settings
    ) -> None:
        settings = _existing(_with(dev, digest=None, build=True))
        names, recorder = _names(deploy, settings)
        assert names == {}, "in a preview no digest is known"
        built = {r.inputs["tags"][0] for r in recorder.of_type(BUILT)}
        assert built == {settings.image_reference(m) for m in settings.enabled_models}

    def test_a_digest_goes_before_a_build(self, deploy: Deploy, dev: Settings) -> None:
        _, recorder = _names(deploy, _existing(_with(dev, digest=DIGEST, build=True)))
        assert recorder.of_type(BUILT) == []

    def test_models_of_one_image_share_its_build(self, deploy: Deploy, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.dev.yaml")
        first = _baked(settings)
        image = first.image.model_copy(update={"build": True, "digest": None})
        one = first.model_copy(update={"image": image})
        two = one.model_copy(update={"name": "another"})
        _, recorder = _names(deploy, _existing(settings, models=(one, two)))
        assert len(recorder.of_type(BUILT)) == 1

    def test_a_rehearsal_builds_nothing_and_asks_nobody(self, deploy: Deploy, local: Settings) -> None:
        names, recorder = _names(deploy, _with(local, digest=None, build=True))
        assert names == {m.name: local.image_reference(m) for m in local.enabled_models}
        assert recorder.of_type(BUILT) == []

    def test_a_user_s_password_reaches_both_clients_as_a_secret(self, deploy: Deploy, dev: Settings) -> None:
        login = PasswordLogin(kind="password", username="robot")
        models = [_baked(dev)]
        image = models[0].image
        models = [
            models[0].model_copy(update={"name": "a", "image": image.model_copy(update={"digest": DIGEST})}),
            models[0].model_copy(
                update={"name": "b", "image": image.model_copy(update={"digest": None, "build": True})}
            ),
        ]
        settings = _existing(dev, models=tuple(models), builds=Builds(login=login))
        _, recorder = _names(deploy, settings, {"registry_password": "not-shown"})
        assert "not-shown" not in str(recorder.registrations)
        (registry,) = recorder.one(BUILT).inputs["registries"]
        assert registry == {"address": "harbor.internal:5000", "username": "robot", "password": HIDDEN}


class TestEcr:
    REGISTRY = EcrRegistry(kind="ecr", account="123456789012", region="us-east-1")

    def _access(self, deploy: Deploy, use: Callable[[Any], object]) -> Recorder:
        def program() -> None:
            aws = AwsProvider("aws", region="us-east-1")
            args = ImageRepositoriesArgs(repositories=["llm/chat"], key_arn="arn:aws:kms:x")
            repositories = ImageRepositories("images", args, pulumi.ResourceOptions(providers=[aws]))
            use(ecr_access(self.REGISTRY, EcrLogin(kind="ecr"), aws, repositories))

        return deploy(program)

    def test_a_push_waits_for_the_repositories(self, deploy: Deploy) -> None:
        waits: list[Any] = []
        self._access(deploy, lambda access: waits.extend(access.after))
        assert [type(resource) for resource in waits] == [ImageRepositories]

    def test_the_token_is_a_secret(self, deploy: Deploy) -> None:
        secret: list[bool] = []

        async def note(login: RegistryLogin) -> None:
            secret.append(await cast("pulumi.Output[str]", login.password).is_secret())

        self._access(deploy, lambda access: pulumi.Output.from_input(note(access.login())))
        assert secret == [True]

    def test_it_is_asked_for_the_digest_itself(self, deploy: Deploy, dev: Settings, monkeypatch: Any) -> None:  # noqa: ANN401
        asked: list[Mapping[str, Any]] = []
        invoke = Recorder.Invoke

        def noting(self: Recorder, request: Any) -> Any:  # noqa: ANN401
            asked.append({"token": request.tok, **dict(request.args.items())})
            return invoke(self, request)

        monkeypatch.setattr(Recorder, "Invoke", noting)
        image = _baked(dev).image.model_copy(update={"digest": DIGEST})
        self._access(deploy, lambda access: access.found(image))
        # Not in a preview that still has to make the repository: there can be no image in it.
        assert asked == [] or asked[0]["imageDigest"] == DIGEST


class TestCommandForPipelines:
    def test_it_is_the_program_s_build_with_attestations(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.prod.yaml")
        model = _baked(settings)
        words = shlex.split(image_command("prod", model.name, root).replace("\\\n", " "))
        plan = image_plan(settings, model)
        assert words[:3] == ["docker", "buildx", "build"]
        assert words[-1] == CONTEXT
        assert {f"--build-arg={name}={value}" for name, value in plan.arguments.items()} <= set(words)
        assert {"--sbom=true", "--provenance=mode=max", "--push", f"--tag={plan.tag}"} <= set(words)

    def test_a_shell_reads_it_as_one_command(self, root: Path, tmp_path: Path) -> None:
        program = tmp_path / "docker"
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        program.chmod(0o755)
        model = _baked(load_stack_file(root / "Pulumi.prod.yaml"))
        done = subprocess.run(
            ["/bin/sh", "-euc", image_command("prod", model.name, root)],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == CONTEXT

    def test_a_secret_is_taken_from_a_variable(self, root: Path, tmp_path: Path) -> None:
        text = (root / "Pulumi.prod.yaml").read_text(encoding="utf-8")
        text += "  vllm-platform:builds: {secrets: [hub_token]}\n  vllm-platform:hub_token: {secure: AAAB}\n"
        (tmp_path / "Pulumi.prod.yaml").write_text(text, encoding="utf-8")
        model = _baked(load_stack_file(root / "Pulumi.prod.yaml"))
        assert "--secret=id=hub_token,env=HUB_TOKEN" in image_command("prod", model.name, tmp_path)

    def test_a_model_that_is_not_there_is_refused_in_words(self, root: Path) -> None:
        with pytest.raises(UserError, match="has no model gpt; its models: qwen-7b-vllm"):
            image_command("prod", "gpt", root)
