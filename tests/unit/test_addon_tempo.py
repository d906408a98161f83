"""Tempo: takes OTLP and nothing else, keeps traces where logs lie without being mixed up with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.tempo import (
    NAME,
    SERVICE_ACCOUNT,
    TEMPO_OTLP,
    TEMPO_URL,
    Tempo,
    TempoArgs,
    tempo_values,
)
from components.charts import TEMPO
from ops.recorder import Recorder
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.charts import PublishedCharts
from settings.observability import Kept, TelemetryStore, VolumeStore
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
TRACES: Final = Kept(days=7, volume="50Gi")
STORES: Final[dict[str, TelemetryStore]] = {
    "volumes": VolumeStore(kind="volumes"),
    "created": CreatedBucket(kind="created", name="acme-telemetry"),
    "existing": ExistingBucket(kind="existing", name="acme-telemetry"),
    "compatible": CompatibleBucket(
        kind="compatible",
        name="telemetry",
        endpoint="https://s3.internal:9000",
        region="dc-1",
        credentials_secret="s3-keys",  # noqa: S106 - the name of a Secret
    ),
}
EXCEPTIONS: Final = (
    # Commented out in the chart's values; its StatefulSet reads it.
    "persistence.storageClassName",
    # The pod's security context is written as it stands.
    "securityContext.seccompProfile",
)


def _values(store: str, *, region: str = "eu-west-1", storage_class: str | None = "gp3") -> Values:
    return tempo_values(
        traces=TRACES, store=STORES[store], region=region, storage_class=storage_class, monitored=True
    )


def _stored(values: Values) -> Values:
    return json.loads(values["config"])["storage"]["trace"]


@pytest.fixture(params=STORES)
def values(request: pytest.FixtureRequest) -> Values:
    return _values(request.param)


@pytest.fixture
def seen(root: Path, values: Values) -> Values:
    return merged(values, published_values(root, "tempo"))


def test_every_value_is_one_that_the_chart_reads(root: Path, values: Values) -> None:
    assert unknown_keys(values, published_values(root, "tempo"), EXCEPTIONS) == []


def test_other_parts_find_it_under_its_name(values: Values) -> None:
    host = f"{NAME}.{ADDON_NAMESPACES['tempo']}.svc.cluster.local"
    assert values["fullnameOverride"] == NAME
    assert (f"http://{host}:3200", f"{host}:4317") == (TEMPO_URL, TEMPO_OTLP)


def test_helm_leaves_its_configuration_as_it_is(values: Values) -> None:
    """The chart reads it as a template."""
    assert "{{" not in values["config"]


def test_it_listens_for_otlp_and_nothing_else(seen: Values) -> None:
    receivers = json.loads(seen["config"])["distributor"]["receivers"]
    assert receivers == {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}}}}


def test_its_service_has_no_port_of_jaeger(seen: Values) -> None:
    protocols = seen["tempo"]["receivers"]["jaeger"]["protocols"]
    assert {protocol["endpoint"] for protocol in protocols.values()} == {""}


def test_traces_go_after_their_days(values: Values) -> None:
    assert json.loads(values["config"])["compactor"]["compaction"] == {"block_retention": "168h"}


def test_on_volumes_traces_outlive_the_pod(root: Path) -> None:
    values = _values("volumes")
    stored = _stored(values)
    assert stored["backend"] == "local"
    # Where the chart mounts the volume.
    assert all(path.startswith("/var/tempo/") for path in (stored["local"]["path"], stored["wal"]["path"]))
    assert published_values(root, "tempo")["tempo"]["storage"]["trace"]["local"] == stored["local"]
    assert values["persistence"]["enabled"] is True


@pytest.mark.parametrize("store", ["created", "existing", "compatible"])
def test_in_a_bucket_traces_have_a_folder_of_their_own_and_no_keys(store: str) -> None:
    s3 = _stored(_values(store))["s3"]
    assert s3["prefix"] == "traces"
    assert not {"access_key", "secret_key", "session_token"} & set(s3)


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-west-1", "s3.eu-west-1.amazonaws.com"),
        ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_amazon_s_bucket_is_reached_in_its_region_by_the_account_s_rights(region: str, endpoint: str) -> None:
    values = _values("created", region=region)
    assert _stored(values)["s3"] == {
        "bucket": "acme-telemetry",
        "prefix": "traces",
        "endpoint": endpoint,
        "region": region,
    }
    assert values["serviceAccount"]["name"] == SERVICE_ACCOUNT == "tempo"


def test_another_store_is_reached_at_its_address_with_the_keys_of_a_secret() -> None:
    values = _values("compatible")
    s3 = _stored(values)["s3"]
    assert (s3["endpoint"], s3["region"], s3["forcepathstyle"]) == ("s3.internal:9000", "dc-1", True)
    references = [entry["valueFrom"] for entry in values["tempo"]["extraEnv"] if "valueFrom" in entry]
    assert [reference["secretKeyRef"]["name"] for reference in references] == ["s3-keys", "s3-keys"]


def test_there_is_one_of_it(seen: Values) -> None:
    assert seen["replicas"] == 1


@pytest.mark.parametrize(("storage_class", "written"), [("gp3", {"storageClassName": "gp3"}), (None, {})])
def test_its_volume_is_as_the_settings_say(storage_class: str | None, written: dict[str, str]) -> None:
    persistence = _values("created", storage_class=storage_class)["persistence"]
    assert persistence == {"enabled": True, "size": "50Gi", **written}


def test_it_collects_garbage_before_its_limit_of_memory(seen: Values) -> None:
    environment = {entry["name"]: entry.get("value") for entry in seen["tempo"]["extraEnv"]}
    assert seen["tempo"]["resources"]["limits"] == {"memory": "2048Mi"}
    assert environment["GOMEMLIMIT"] == "1843MiB"


def test_it_runs_as_nobody_with_no_right_and_no_token(seen: Values) -> None:
    assert seen["securityContext"]["runAsNonRoot"] is True
    assert seen["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert seen["tempo"]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert seen["serviceAccount"]["automountServiceAccountToken"] is False


def test_it_stays_off_gpu_nodes(seen: Values) -> None:
    assert tolerating(seen) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = TempoArgs(
            charts=PublishedCharts(kind="published"),
            namespace="monitoring",
            after=[before],
            traces=TRACES,
            store=STORES["created"],
            region="eu-west-1",
            storage_class=None,
        )
        Tempo("tempo", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("tempo", TEMPO.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
