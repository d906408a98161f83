"""Harbor: nothing secret in the values, nothing drawn anew, one volume that two pods never want."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.harbor import Harbor, HarborArgs, harbor_values
from components.charts import HARBOR
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from settings.needed_secrets import HARBOR_KEYS
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
SECRET: Final = "harbor-admin"  # noqa: S105 - the name of a Secret
STATELESS: Final = ("nginx", "portal", "core", "jobservice")
EXCEPTIONS: Final = (
    # templates/_helpers.tpl reads it.
    "fullnameOverride",
    # In comments of values.yaml.
    *(f"{part}.resources" for part in (*STATELESS, "exporter")),
    *(f"{part}.podDisruptionBudget.maxUnavailable" for part in STATELESS),
    "registry.registry.resources",
    "registry.controller.resources",
    "database.internal.resources",
    "redis.internal.resources",
)


def _values(*, replicas: int = 2, monitored: bool = True) -> dict[str, Any]:
    return harbor_values(
        host="harbor.internal",
        secret=SECRET,
        storage_class="gp3",
        replicas=replicas,
        monitored=monitored,
    )


@pytest.fixture
def values() -> dict[str, Any]:
    return _values()


@pytest.fixture
def seen(root: Path, values: dict[str, Any]) -> dict[str, Any]:
    """What the chart's templates see."""
    return merged(values, published_values(root, "harbor"))


def _items(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[str, object]", value).items():
            yield from _items(item, f"{path}.{key}" if path else key)
    else:
        yield path, value


def test_every_value_is_one_that_the_chart_reads(root: Path, values: dict[str, Any]) -> None:
    assert unknown_keys(values, published_values(root, "harbor"), EXCEPTIONS) == []


def test_no_password_and_no_key_is_a_value(seen: dict[str, Any]) -> None:
    """Not even one of the chart's own, which everybody knows: Harbor12345, changeit, not-a-secure-key."""
    words = ("password", "secret", "secretKey", "tokenKey", "tokenCert", "xsrfKey", "harborAdminPassword")
    told = [path for path, item in _items(seen) if path.rpartition(".")[2] in words and item]
    # Below it lie examples for stores that are not used: images lie on a volume.
    assert seen["persistence"]["imageChartStorage"]["type"] == "filesystem"
    assert [path for path in told if not path.startswith("persistence.imageChartStorage.")] == []


def test_all_that_the_chart_would_draw_anew_comes_from_one_secret(seen: dict[str, Any]) -> None:
    named = [
        seen["existingSecretAdminPassword"],
        seen["existingSecretSecretKey"],
        seen["core"]["existingSecret"],
        seen["core"]["existingXsrfSecret"],
        seen["core"]["secretName"],
        seen["jobservice"]["existingSecret"],
        seen["registry"]["existingSecret"],
        seen["registry"]["credentials"]["existingSecret"],
        seen["database"]["external"]["existingSecret"],
    ]
    assert named == [SECRET] * len(named)


def test_the_keys_in_that_secret_are_those_that_the_chart_looks_for(seen: dict[str, Any]) -> None:
    chosen = {
        seen["existingSecretAdminPasswordKey"],
        seen["core"]["existingXsrfSecretKey"],
        seen["jobservice"]["existingSecretKey"],
        seen["registry"]["existingSecretKey"],
    }
    # The rest are fixed texts of its templates.
    fixed = {"secretKey", "secret", "REGISTRY_PASSWD", "REGISTRY_HTPASSWD", "password", "tls.key", "tls.crt"}
    assert set(HARBOR_KEYS) == chosen | fixed


def test_the_database_takes_the_password_that_the_others_use(values: dict[str, Any]) -> None:
    (variable,) = values["database"]["internal"]["extraEnvVars"]
    assert variable["name"] == "POSTGRES_PASSWORD"
    assert variable["valueFrom"]["secretKeyRef"] == {"name": SECRET, "key": "password"}


def test_it_draws_no_certificate(seen: dict[str, Any]) -> None:
    assert seen["expose"]["tls"]["enabled"] is False
    assert seen["internalTLS"]["enabled"] is False


def test_nothing_outside_reaches_it_by_itself_and_it_knows_its_name_there(values: dict[str, Any]) -> None:
    assert values["expose"]["type"] == "clusterIP"
    assert values["externalURL"] == "https://harbor.internal"


def test_no_two_pods_want_one_volume(values: dict[str, Any]) -> None:
    assert values["updateStrategy"] == {"type": "Recreate"}
    assert values["registry"]["replicas"] == values["trivy"]["replicas"] == 1
    # In files they would lie on a volume, and there are two of these.
    assert values["jobservice"]["jobLoggers"] == ["database"]


def test_volumes_are_of_the_class_that_was_asked_for_and_stay(values: dict[str, Any]) -> None:
    claims = values["persistence"]["persistentVolumeClaim"]
    assert {claim["storageClass"] for claim in claims.values()} == {"gp3"}
    assert values["persistence"]["resourcePolicy"] == "keep"


def test_a_drain_goes_on_whatever_the_number(values: dict[str, Any]) -> None:
    for part in STATELESS:
        assert values[part]["podDisruptionBudget"] == {
            "enabled": True,
            "minAvailable": 0,
            "maxUnavailable": 1,
        }
        assert _values(replicas=1)[part]["podDisruptionBudget"]["enabled"] is False


def test_memory_is_limited_and_cpu_is_not(values: dict[str, Any]) -> None:
    parts: list[dict[str, Any]] = [values[part] for part in (*STATELESS, "exporter")]
    parts += [values["registry"]["registry"], values["registry"]["controller"]]
    parts += [values["database"]["internal"], values["redis"]["internal"]]
    assert {tuple(part["resources"]["limits"]) for part in parts} == {("memory",)}
    assert {tuple(sorted(part["resources"]["requests"])) for part in parts} == {("cpu", "memory")}


@pytest.mark.parametrize("monitored", [True, False])
def test_it_is_watched_where_somebody_watches(monitored: bool) -> None:  # noqa: FBT001
    metrics = _values(monitored=monitored)["metrics"]
    assert (metrics["enabled"], metrics["serviceMonitor"]["enabled"]) == (monitored, monitored)


def test_it_stays_off_gpu_nodes(seen: dict[str, Any]) -> None:
    assert tolerating(seen) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = HarborArgs(
            charts=PublishedCharts(kind="published"),
            namespace="harbor",
            after=[before],
            host="harbor.internal",
        )
        Harbor("harbor", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("harbor", HARBOR.version)
    assert release.inputs["values"]["existingSecretAdminPassword"] == SECRET
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
