"""External Secrets: stores of one namespace, copies into the cluster, and no kind that reaches further."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.external_secrets import (
    ExternalSecrets,
    ExternalSecretsArgs,
    external_secrets_values,
)
from components.charts import EXTERNAL_SECRETS
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, schema_errors, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
FOLDER: Final = "external-secrets"
# The templates take it before `minAvailable`, which values.yaml has.
TEMPLATES: Final = tuple(
    f"{part}podDisruptionBudget.maxUnavailable" for part in ("", "webhook.", "certController.")
)
# Where the switch of the controller has another word than the switch of the kind.
PROCESSED: Final = {
    "createClusterExternalSecret": "processClusterExternalSecret",
    "createClusterGenerator": "processClusterGenerator",
    "createClusterPushSecret": "processClusterPushSecret",
    "createClusterSecretStore": "processClusterStore",
    "createPushSecret": "processPushSecret",
}


@pytest.fixture
def values() -> dict[str, Any]:
    return external_secrets_values(replicas=2, monitored=True)


@pytest.fixture
def seen(root: Path, values: dict[str, Any]) -> dict[str, Any]:
    """What the chart's templates see."""
    return merged(values, published_values(root, FOLDER))


def _parts(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The controller's values lie at the top."""
    return {
        "external-secrets": values,
        "external-secrets-webhook": values["webhook"],
        "external-secrets-cert-controller": values["certController"],
    }


def test_every_value_is_one_that_the_chart_reads(root: Path, values: dict[str, Any]) -> None:
    assert unknown_keys(values, published_values(root, FOLDER), TEMPLATES) == []


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_chart_s_schema_takes_them(root: Path, replicas: int) -> None:
    values = external_secrets_values(replicas=replicas, monitored=False)
    assert schema_errors(root, FOLDER, values) == []


def test_the_kinds_come_with_the_chart_and_stay_without_it(values: dict[str, Any]) -> None:
    assert values["installCRDs"] is True
    assert values["crds"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_only_the_stable_version_is_served(seen: dict[str, Any]) -> None:
    assert (seen["crds"]["unsafeServeV1Beta1"], seen["crds"]["conversion"]["enabled"]) == (False, False)


def test_of_the_kinds_only_stores_of_a_namespace_and_copies_from_them_are_made(seen: dict[str, Any]) -> None:
    made = {kind for kind, on in seen["crds"].items() if kind.startswith("create") and on}
    assert made == {"createSecretStore"}


def test_the_controller_has_no_rights_on_kinds_that_are_not_made(seen: dict[str, Any]) -> None:
    """It would watch a kind that is not there, and never start."""
    for kind, processed in PROCESSED.items():
        assert (seen["crds"][kind], seen[processed]) == (False, False)
    assert seen["processSecretStore"] is True


def test_two_of_each_part_lie_in_two_zones(values: dict[str, Any]) -> None:
    for app, part in _parts(values).items():
        (spread,) = part["topologySpreadConstraints"]
        assert part["replicaCount"] == 2
        assert spread["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": app}


@pytest.mark.parametrize("replicas", [1, 2])
def test_of_two_controllers_one_works(replicas: int) -> None:
    values = external_secrets_values(replicas=replicas, monitored=False)
    assert values["leaderElect"] is (replicas > 1)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_drain_goes_on_whatever_the_number(replicas: int) -> None:
    values = external_secrets_values(replicas=replicas, monitored=False)
    for part in _parts(values).values():
        assert part["podDisruptionBudget"] == {"enabled": replicas > 1, "maxUnavailable": 1}


def test_memory_is_limited_and_cpu_is_not(values: dict[str, Any]) -> None:
    for part in _parts(values).values():
        assert set(part["resources"]["requests"]) == {"cpu", "memory"}
        assert set(part["resources"]["limits"]) == {"memory"}


def test_a_release_counts_as_there_when_its_controller_runs(seen: dict[str, Any]) -> None:
    assert seen["readinessProbe"]["enabled"] is True


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    monitor = external_secrets_values(replicas=1, monitored=monitored)["serviceMonitor"]
    assert monitor == {"enabled": monitored, "renderMode": "alwaysRender"}


def test_it_stays_off_gpu_nodes(seen: dict[str, Any]) -> None:
    assert tolerating(seen) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = ExternalSecretsArgs(
            charts=PublishedCharts(kind="published"), namespace="external-secrets", after=[before]
        )
        ExternalSecrets("external-secrets", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == (FOLDER, EXTERNAL_SECRETS.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
