"""What a cluster that exists is asked for: nothing without a reason, and all that it lacks is said at once."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from kubernetes import client, config

from components import served_apis
from components.served_apis import (
    DEFAULT_CLASS,
    NotReachedError,
    Served,
    look,
    missing_apis,
    missing_class,
    refuse_what_is_not_served,
)
from settings import ExistingCluster, Settings, SettingsError, load_stack_file
from settings.addon_catalogue import CATALOGUE
from settings.addons import Addons
from settings.database import NoBackups, Postgres
from settings.storage import Storage

pytestmark = pytest.mark.unit

NOTHING: Final = Served(apis={}, classes={})
_APIS: Final = [api.split("/") for unit in CATALOGUE for api in unit.serves]
EVERYTHING: Final = Served(
    apis={group: [version for other, version in _APIS if other == group] for group, _ in _APIS},
    classes={"standard": True},
)
EXISTING: Final = ExistingCluster(
    kind="existing", kubeconfig="~/.kube/config", context="own", region="us-east-1", zones=("us-east-1a",)
)


def _stack(local: Settings, volume_class: str | None = None, **choices: str) -> Settings:
    """Return a stack on a cluster that exists, with these add-ons and no other."""
    words = dict.fromkeys(Addons.model_fields, "off")
    changes = {
        "cluster": EXISTING,
        "addons": Addons.model_validate({**words, **choices}),
        "storage": Storage(volume_class=volume_class),
    }
    return local.model_copy(update=changes)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Stands in for the cluster, which has everything; filled with the stacks for which it was asked."""
    found: list[Settings] = []

    def note(settings: Settings) -> Served:
        found.append(settings)
        return EVERYTHING

    monkeypatch.setattr(served_apis, "look", note)
    return found


class TestAsking:
    def test_a_cluster_of_which_nothing_is_expected_is_not_asked(
        self, asked: list[Settings], local: Settings
    ) -> None:
        refuse_what_is_not_served(_stack(local, cert_manager="managed", keda="managed"), stack="own")
        assert asked == []

    def test_a_cluster_that_the_program_makes_is_not_asked(self, asked: list[Settings], root: Path) -> None:
        prod = load_stack_file(root / "Pulumi.prod.yaml")
        wanting = prod.model_copy(update={"addons": Addons(cert_manager="existing", harbor="managed")})
        refuse_what_is_not_served(wanting, stack="prod")
        assert asked == []

    def test_one_add_on_that_should_be_there_is_a_reason(
        self, asked: list[Settings], local: Settings
    ) -> None:
        stack = _stack(local, cert_manager="existing")
        refuse_what_is_not_served(stack, stack="own")
        assert asked == [stack]

    def test_volumes_are_a_reason(self, asked: list[Settings], local: Settings) -> None:
        refuse_what_is_not_served(_stack(local, loki="managed"), stack="own")
        database = Postgres(kind="postgres", backups=NoBackups(kind="off"))
        stack = _stack(local).model_copy(update={"database": database})
        refuse_what_is_not_served(stack, stack="own")
        assert len(asked) == 2

    def test_a_rehearsal_is_asked_too(self, asked: list[Settings], local: Settings) -> None:
        refuse_what_is_not_served(local, stack="local")
        assert asked == [local]


class TestApis:
    @pytest.mark.parametrize("addon", sorted({unit.addon for unit in CATALOGUE if unit.serves}))
    def test_every_api_of_an_add_on_that_is_not_there_is_named(self, local: Settings, addon: str) -> None:
        stack = _stack(local, **{addon: "existing"})
        problems = missing_apis(stack, NOTHING)
        wanted = [api for unit in CATALOGUE if unit in stack.asked.units("existing") for api in unit.serves]
        assert wanted
        assert [problem.path for problem in problems] == [f"addons.{addon}"] * len(wanted)
        said = [problem.reason for problem in problems]
        assert all(
            f"does not serve {api} (nothing of this group)" in reason
            for api, reason in zip(wanted, said, strict=True)
        )
        assert missing_apis(stack, EVERYTHING) == []

    def test_the_versions_that_are_there_are_named(self, local: Settings) -> None:
        served = Served(apis={"cert-manager.io": ["v1alpha2", "v1beta1"]}, classes={})
        (problem,) = missing_apis(_stack(local, cert_manager="existing"), served)
        assert str(problem).splitlines() == [
            (
                "addons.cert_manager: the cluster does not serve cert-manager.io/v1 "
                "(of this group it serves v1alpha2, v1beta1) (found 'existing')"
            ),
            "    fix: install it there, or write `managed` and this program does",
        ]

    @pytest.mark.parametrize("word", ["managed", "off"])
    def test_what_is_not_expected_there_is_not_missed(self, local: Settings, word: str) -> None:
        assert missing_apis(_stack(local, cert_manager=word, keda=word), NOTHING) == []

    def test_a_group_is_taken_whole(self, local: Settings) -> None:
        """`cert-manager.io` is also how the name of another group of the same product ends."""
        served = Served(apis={"acme.cert-manager.io": ["v1"]}, classes={})
        assert len(missing_apis(_stack(local, cert_manager="existing"), served)) == 1


class TestClasses:
    def test_without_volumes_none_is_missed(self, local: Settings) -> None:
        assert missing_class(_stack(local, keda="managed"), NOTHING) == []
        assert missing_class(_stack(local, loki="existing"), NOTHING) == []

    def test_one_that_is_named_must_be_there(self, local: Settings) -> None:
        stack = _stack(local, "fast", loki="managed")
        assert missing_class(stack, Served(apis={}, classes={"fast": False})) == []
        (problem,) = missing_class(stack, Served(apis={}, classes={"slow": True, "older": False}))
        assert (problem.path, problem.value) == ("storage.volume_class", "fast")
        assert problem.fix.endswith("the cluster has: older, slow")

    @pytest.mark.parametrize("classes", [{}, {"slow": False}])
    def test_one_that_is_not_named_must_be_the_default(
        self, local: Settings, classes: Mapping[str, bool]
    ) -> None:
        stack = _stack(local, loki="managed")
        (problem,) = missing_class(stack, Served(apis={}, classes=classes))
        assert problem.fix.endswith(f"the cluster has: {', '.join(classes) or 'none'}")
        assert missing_class(stack, Served(apis={}, classes={"slow": False, "standard": True})) == []


class TestRefusal:
    def test_all_is_said_at_once(self, monkeypatch: pytest.MonkeyPatch, local: Settings) -> None:
        def empty(_: Settings) -> Served:
            return NOTHING

        monkeypatch.setattr(served_apis, "look", empty)
        stack = _stack(local, cert_manager="existing", istio="existing", loki="managed")
        with pytest.raises(SettingsError) as caught:
            refuse_what_is_not_served(stack, stack="own")
        assert [problem.path for problem in caught.value.problems] == [
            "addons.cert_manager",
            "addons.istio",
            "addons.istio",
            "storage.volume_class",
        ]
        assert "stack own: 4 problems in its settings, nothing was deployed" in str(caught.value)

    def test_a_cluster_that_does_not_answer_is_one_problem(
        self, monkeypatch: pytest.MonkeyPatch, local: Settings
    ) -> None:
        def silent(_: Settings) -> Served:
            message = "its API does not answer"
            raise NotReachedError(message)

        monkeypatch.setattr(served_apis, "look", silent)
        with pytest.raises(SettingsError) as caught:
            refuse_what_is_not_served(_stack(local, keda="existing"), stack="own")
        (problem,) = caught.value.problems
        assert (problem.path, problem.reason) == ("cluster", "its API does not answer")
        assert "kubectl get nodes" in problem.fix
        assert caught.value.__suppress_context__


class TestLook:
    """The client's own part is another's; here is what it is told and what is read of its answer."""

    @pytest.fixture
    def told(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        calls: list[Any] = []
        versions = [SimpleNamespace(version="v1"), SimpleNamespace(version="v1beta1")]
        groups = SimpleNamespace(groups=[SimpleNamespace(name="keda.sh", versions=versions)])
        marks = {"slow": None, "standard": {DEFAULT_CLASS: "true"}, "old": {DEFAULT_CLASS: "false"}}
        items = [
            SimpleNamespace(metadata=SimpleNamespace(name=name, annotations=annotations))
            for name, annotations in marks.items()
        ]

        def login(path: str, context: str | None, *, client_configuration: Any) -> str:  # noqa: ANN401
            calls.append((path, context, client_configuration.retries))
            return "login"

        def answer(what: str, value: object) -> Any:  # noqa: ANN401 - stands in for a method of the client
            def respond(*, _request_timeout: int) -> object:
                calls.append((what, _request_timeout))
                return value

            return respond

        monkeypatch.setattr(config, "new_client_from_config", login)
        apis = SimpleNamespace(get_api_versions=answer("apis", groups))
        storage = SimpleNamespace(list_storage_class=answer("classes", SimpleNamespace(items=items)))
        monkeypatch.setattr(client, "ApisApi", {"login": apis}.__getitem__)
        monkeypatch.setattr(client, "StorageV1Api", {"login": storage}.__getitem__)
        return calls

    def test_it_asks_the_named_context_once_and_not_for_long(self, told: list[Any], local: Settings) -> None:
        served = look(_stack(local, keda="existing"))
        assert served == Served(apis={"keda.sh": ["v1", "v1beta1"]}, classes={})
        assert told == [(str(Path("~/.kube/config").expanduser()), "own", 0), ("apis", 10)]

    def test_classes_are_asked_for_where_something_is_stored(self, told: list[Any], local: Settings) -> None:
        served = look(_stack(local, loki="managed"))
        assert served.classes == {"slow": False, "standard": True, "old": False}
        assert ("classes", 10) in told

    def test_a_kubeconfig_that_is_not_there_is_named_and_not_shown(
        self, local: Settings, tmp_path: Path
    ) -> None:
        cluster = EXISTING.model_copy(update={"kubeconfig": str(tmp_path / "none")})
        stack = _stack(local, keda="existing").model_copy(update={"cluster": cluster})
        with pytest.raises(NotReachedError, match=r"its kubeconfig .*/none can not be used"):
            look(stack)
        (tmp_path / "none").write_text("users: [{name: u, user: {token: hidden-word}}]", encoding="utf-8")
        with pytest.raises(NotReachedError) as caught:
            look(stack)
        assert "hidden-word" not in str(caught.value)

    @pytest.mark.parametrize(
        "text", ["{hidden-word: [", "\tclusters: hidden-word", "hidden-word", "clusters: 5"]
    )
    def test_a_file_of_another_form_is_named_and_not_shown(
        self, local: Settings, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "broken"
        path.write_text(text, encoding="utf-8")
        cluster = EXISTING.model_copy(update={"kubeconfig": str(path)})
        stack = _stack(local, keda="existing").model_copy(update={"cluster": cluster})
        with pytest.raises(NotReachedError, match="kubeconfig") as caught:
            look(stack)
        assert "hidden-word" not in str(caught.value)
