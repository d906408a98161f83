"""How the add-ons of a stack become one graph: what waits for what, in which namespaces, and nothing that was not asked for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons import platform
from components.addons.pattern import Addon, AddonArgs
from components.addons.platform import install_platform
from components.addons.surroundings import Surroundings
from components.addons.table import UNITS, Row
from components.charts import Chart
from components.secret_delivery import SecretSource
from ops.recorder import PROVIDER_PREFIX, STACK_TYPE, Recorder
from settings import Settings, load_stack_file
from settings.addon_catalogue import CATALOGUE, Unit
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.addons import Addons
from settings.charts import LocalCharts
from settings.secrets import ManualSecrets, VaultSecrets
from settings.storage import EBS_CLASS
from tests.contract.addon_factories import POSTGRES

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
NAMESPACE: Final = "kubernetes:core/v1:Namespace"
CHART_TYPES: Final = ("kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v4:Chart")
AROUND: Final = ("nodes", "volumes", "rights-of-loki")
"""Stand in for what the cluster is to add-ons."""


@pytest.fixture(scope="module")
def everything(root: Path) -> Settings:
    """A stack with all add-ons of the table, also those of which nobody would have two."""
    prod = load_stack_file(root / "Pulumi.prod.yaml")
    by_hand = ManualSecrets(kind="manual")
    return prod.model_copy(update={"addons": _all("managed"), "database": POSTGRES, "secrets": by_hand})


def _all(word: str, **others: str) -> Addons:
    return Addons.model_validate({**dict.fromkeys(Addons.model_fields, word), **others})


def _units(settings: Settings) -> dict[str, Unit]:
    """Return what this function installs, by name; the rest comes with the cluster's services."""
    return {unit.name: unit for unit in settings.asked.units("managed") if unit.name in UNITS}


def _install(settings: Settings, *, on_its_own: bool = False) -> dict[str, Addon]:
    options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
    around = Surroundings()
    if on_its_own:
        nodes, volumes, rights = (Namespace(name, metadata={"name": name}, opts=options) for name in AROUND)
        around = Surroundings(nodes=[nodes], volumes=[volumes], access={"loki": [rights]})
    return install_platform(settings, around, SecretSource(settings=settings), options)


def _owners(recorder: Recorder) -> dict[str, str]:
    """Return the name of the component that each resource belongs to; a component and a plain object are their own."""
    by_urn = {registration.urn: registration for registration in recorder.registrations}

    def top(urn: str) -> str:
        registration = by_urn[urn]
        parent = by_urn.get(registration.parent)
        return registration.name if parent is None or parent.type == STACK_TYPE else top(parent.urn)

    return {urn: top(urn) for urn in by_urn}


def _waits(recorder: Recorder) -> dict[str, set[str]]:
    """Return what the parts of each component wait for, as names of other components."""
    owners = _owners(recorder)
    found: dict[str, set[str]] = {}
    for registration in recorder.registrations:
        own = owners[registration.urn]
        others = {owners[urn] for urn in registration.dependencies}
        found.setdefault(own, set()).update(others - {own})
    return found


def _namespace_of(unit: str) -> set[str]:
    name = ADDON_NAMESPACES[unit]
    return set() if name == "kube-system" else {f"namespace-{name}"}


class TestOrder:
    def test_a_unit_waits_for_what_it_needs_and_for_nothing_else(
        self, deploy: Deploy, everything: Settings
    ) -> None:
        waits = _waits(deploy(lambda: _install(everything, on_its_own=True)))
        units = _units(everything)
        assert set(units) == set(UNITS)
        for name, unit in units.items():
            needed = {*unit.needs, *unit.after} & set(units)
            around = {
                "nodes": unit.runs,
                "volumes": unit.volumes,
                "rights-of-loki": name == "loki",
            }
            expected = needed | _namespace_of(name) | {what for what, waited in around.items() if waited}
            assert waits[name] == expected, name

    def test_it_is_the_chart_that_waits(self, deploy: Deploy, everything: Settings) -> None:
        recorder = deploy(lambda: _install(everything, on_its_own=True))
        owners = _owners(recorder)
        charts = {owners[r.urn]: r for r in recorder.registrations if r.type in CHART_TYPES}
        units = _units(everything)
        assert set(charts) == set(units)
        for name, unit in units.items():
            before = {owners[urn] for urn in charts[name].dependencies}
            assert {*unit.needs, *unit.after} & set(units) <= before, name
            assert ("nodes" in before) is unit.runs, name

    def test_on_a_cluster_that_exists_only_needs_are_waited_for(
        self, deploy: Deploy, everything: Settings
    ) -> None:
        waits = _waits(deploy(lambda: _install(everything)))
        assert {name for others in waits.values() for name in others} & set(AROUND) == set()

    def test_who_reads_a_secret_waits_for_it_and_it_for_whoever_delivers(
        self, deploy: Deploy, everything: Settings
    ) -> None:
        kept = VaultSecrets(kind="vault", prefix="llm")
        waits = _waits(deploy(lambda: _install(everything.model_copy(update={"secrets": kept}))))
        readers = {name for name, others in waits.items() if {o for o in others if o.startswith("secrets-")}}
        assert readers == {"prometheus", "harbor"}
        assert {"external-secrets", "vault"} <= waits["secrets-monitoring"]
        assert {"external-secrets", "vault"} <= waits["secrets-harbor"]

    def test_what_is_said_to_be_there_is_not_waited_for(self, deploy: Deploy, everything: Settings) -> None:
        stack = everything.model_copy(update={"addons": _all("existing", kserve="managed")})
        waits = _waits(deploy(lambda: _install(stack)))
        assert waits["kserve"] == {"kserve-definitions", "namespace-kserve"}

    def test_what_is_given_back_is_every_unit_under_its_name(
        self, deploy: Deploy, everything: Settings
    ) -> None:
        given: dict[str, Addon] = {}
        deploy(lambda: given.update(_install(everything)))
        assert set(given) == set(_units(everything))
        assert all(isinstance(addon.chart, Chart) for addon in given.values())


class TestNamespaces:
    def test_each_is_made_once_and_that_of_the_cluster_is_not(
        self, deploy: Deploy, everything: Settings
    ) -> None:
        recorder = deploy(lambda: _install(everything))
        made = sorted(n.inputs["metadata"]["name"] for n in recorder.of_type(NAMESPACE))
        wanted = {ADDON_NAMESPACES[name] for name in _units(everything)} - {"kube-system"}
        assert made == sorted(wanted)

    def test_each_chart_is_installed_in_its_own(self, deploy: Deploy, everything: Settings) -> None:
        recorder = deploy(lambda: _install(everything))
        owners = _owners(recorder)
        places = {
            owners[r.urn]: r.inputs["namespace"] for r in recorder.registrations if r.type in CHART_TYPES
        }
        assert places == {name: ADDON_NAMESPACES[name] for name in _units(everything)}


class TestNothingElse:
    def _made(self, deploy: Deploy, settings: Settings) -> set[str]:
        recorder = deploy(lambda: _install(settings))
        types = {r.urn: r.type for r in recorder.registrations}
        return {
            owner
            for urn, owner in _owners(recorder).items()
            if types[urn] != STACK_TYPE and not types[urn].startswith(PROVIDER_PREFIX)
        }

    @pytest.mark.parametrize("word", ["existing", "off"])
    def test_without_an_add_on_that_is_managed_nothing_is_made(
        self, deploy: Deploy, everything: Settings, word: str
    ) -> None:
        assert self._made(deploy, everything.model_copy(update={"addons": _all(word)})) == set()

    @pytest.mark.parametrize("addon", sorted(Addons.model_fields))
    @pytest.mark.parametrize("word", ["existing", "off"])
    def test_of_one_that_is_managed_nothing_of_others_is_made(
        self, deploy: Deploy, everything: Settings, addon: str, word: str
    ) -> None:
        stack = everything.model_copy(update={"addons": _all(word, **{addon: "managed"})})
        own = {unit.name for unit in CATALOGUE if unit.addon == addon and unit.name in UNITS}
        places = {place for name in own for place in _namespace_of(name)}
        assert self._made(deploy, stack) == own | places


class TestArguments:
    @pytest.fixture
    def told(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What each unit was told; filled by a run."""
        found: dict[str, Any] = {}

        def noting(row: Row) -> Row:
            def component(name: str, args: AddonArgs, opts: pulumi.ResourceOptions) -> Addon:
                found[name] = args
                return row.component(name, args, opts)

            return replace(row, component=component)

        noted: Mapping[str, Row] = {name: noting(row) for name, row in UNITS.items()}
        monkeypatch.setattr(platform, "UNITS", noted)
        return found

    @pytest.mark.parametrize(("environment", "replicas"), [("dev", 1), ("staging", 2), ("prod", 2)])
    def test_what_can_have_several_has_as_many_as_the_environment_wants(
        self, deploy: Deploy, everything: Settings, told: dict[str, Any], environment: str, replicas: int
    ) -> None:
        deploy(lambda: _install(everything.model_copy(update={"environment": environment})))
        assert {name: args.replicas for name, args in told.items()} == dict.fromkeys(
            _units(everything), replicas
        )

    @pytest.mark.parametrize(("word", "monitored"), [("managed", True), ("existing", True), ("off", False)])
    def test_they_are_watched_where_somebody_watches_whoever_installed_it(
        self,
        deploy: Deploy,
        everything: Settings,
        told: dict[str, Any],
        word: str,
        monitored: bool,  # noqa: FBT001
    ) -> None:
        stack = everything.model_copy(update={"addons": _all("managed", prometheus=word)})
        deploy(lambda: _install(stack))
        assert {args.monitored for args in told.values()} == {monitored}

    def test_all_take_their_charts_from_where_the_stack_says(
        self, deploy: Deploy, everything: Settings, told: dict[str, Any]
    ) -> None:
        charts = LocalCharts(kind="folder", path="./charts")
        deploy(lambda: _install(everything.model_copy(update={"charts": charts})))
        assert [name for name, args in told.items() if args.charts != charts] == []

    @pytest.mark.parametrize(
        ("own", "on_its_own", "storage_class"),
        [(None, True, EBS_CLASS), (None, False, None), ("fast", True, "fast"), ("fast", False, "fast")],
    )
    def test_volumes_are_of_the_stack_s_class_or_of_the_one_that_it_makes(  # noqa: PLR0917
        self,
        deploy: Deploy,
        everything: Settings,
        told: dict[str, Any],
        own: str | None,
        on_its_own: bool,  # noqa: FBT001
        storage_class: str | None,
    ) -> None:
        storage = everything.storage.model_copy(update={"volume_class": own})
        stack = everything.model_copy(update={"storage": storage})
        deploy(lambda: _install(stack, on_its_own=on_its_own))
        stored = {name for name, unit in _units(stack).items() if unit.volumes}
        assert {name: told[name].storage_class for name in stored} == dict.fromkeys(stored, storage_class)
