"""Loki: as many processes as its store allows, nothing beside them, and nothing kept for longer than it was told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.loki import (
    LOKI_URL,
    NAME,
    SCHEMA_FROM,
    SERVICE_ACCOUNT,
    Loki,
    LokiArgs,
    loki_values,
)
from components.charts import LOKI
from ops.recorder import Recorder
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.charts import PublishedCharts
from settings.observability import Kept, TelemetryStore, VolumeStore
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket
from tests.charts import merged, published_values, schema_errors, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
LOGS: Final = Kept(days=30, volume="50Gi")
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
BUCKETS: Final = tuple(store for store in STORES if store != "volumes")
# A comment in the chart's values, and demanded by its templates (_helpers.tpl) for a bucket.
# Whatever lies below `limits_config` is written into Loki's configuration; its own check took these (Loki 3.7.6).
EXCEPTIONS: Final = (
    "loki.storage.bucketNames",
    "loki.limits_config.retention_period",
    "loki.limits_config.allow_structured_metadata",
    "loki.limits_config.ingestion_rate_mb",
    "loki.limits_config.ingestion_burst_size_mb",
    "loki.limits_config.max_line_size_truncate",
)


def _values(store: str, *, replicas: int = 2, storage_class: str | None = "gp3") -> Values:
    return loki_values(
        logs=LOGS,
        store=STORES[store],
        region="eu-west-1",
        storage_class=storage_class,
        replicas=replicas,
        monitored=True,
    )


@pytest.fixture(params=STORES)
def values(request: pytest.FixtureRequest) -> Values:
    return _values(request.param)


@pytest.fixture
def seen(root: Path, values: Values) -> Values:
    return merged(values, published_values(root, "loki"))


def test_every_value_is_one_that_the_chart_reads(root: Path, values: Values) -> None:
    assert unknown_keys(values, published_values(root, "loki"), EXCEPTIONS) == []


def test_the_chart_s_schema_takes_them(root: Path, values: Values) -> None:
    assert schema_errors(root, "loki", values) == []


def test_other_parts_find_it_under_its_name(values: Values) -> None:
    assert values["fullnameOverride"] == NAME
    assert f"http://{NAME}.{ADDON_NAMESPACES['loki']}.svc.cluster.local:3100" == LOKI_URL


@pytest.mark.parametrize(
    ("store", "replicas", "processes"),
    [("volumes", 1, 1), ("volumes", 2, 1), ("created", 1, 1), ("created", 2, 3), ("compatible", 4, 5)],
)
def test_there_are_as_many_as_a_quorum_needs(store: str, replicas: int, processes: int) -> None:
    """One alone, or an odd number from three on. On volumes a second would not find what the first had stored."""
    values = _values(store, replicas=replicas)
    assert values["singleBinary"]["replicas"] == processes
    assert values["loki"]["commonConfig"]["replication_factor"] == min(processes, 3)


def test_nothing_runs_beside_them(seen: Values) -> None:
    assert [seen[part]["replicas"] for part in ("read", "write", "backend")] == [0, 0, 0]
    optional = ("gateway", "ruler", "chunksCache", "resultsCache", "lokiCanary", "test", "minio")
    assert [part for part in optional if seen[part]["enabled"]] == []
    assert seen["sidecar"]["rules"]["enabled"] is False


def test_lines_go_after_their_days(values: Values) -> None:
    loki = values["loki"]
    assert loki["limits_config"]["retention_period"] == "720h"
    assert loki["compactor"]["retention_enabled"] is True
    (schema,) = loki["schemaConfig"]["configs"]
    assert loki["compactor"]["delete_request_store"] == schema["object_store"]


def test_the_way_of_storing_begins_on_a_day_that_never_changes(values: Values) -> None:
    (schema,) = values["loki"]["schemaConfig"]["configs"]
    assert schema["from"] == SCHEMA_FROM == "2026-01-01"
    assert (schema["store"], schema["schema"]) == ("tsdb", "v13")


@pytest.mark.parametrize("store", BUCKETS)
def test_no_key_of_a_bucket_is_in_the_values(root: Path, store: str) -> None:
    s3 = merged(_values(store), published_values(root, "loki"))["loki"]["storage"]["s3"]
    assert (s3["accessKeyId"], s3["secretAccessKey"]) == (None, None)


@pytest.mark.parametrize("store", ["created", "existing"])
def test_amazon_s_bucket_is_reached_by_the_account_s_rights(store: str) -> None:
    values = _values(store)
    assert values["loki"]["storage"] == {
        "type": "s3",
        "bucketNames": {"chunks": "acme-telemetry"},
        "s3": {"region": "eu-west-1"},
    }
    assert values["singleBinary"]["extraEnv"] == []
    assert values["serviceAccount"]["name"] == SERVICE_ACCOUNT == "loki"


def test_another_store_is_reached_at_its_address_with_the_keys_of_a_secret() -> None:
    values = _values("compatible")
    s3 = values["loki"]["storage"]["s3"]
    assert s3 == {"region": "dc-1", "endpoint": "https://s3.internal:9000", "s3ForcePathStyle": True}
    keys = {
        entry["name"]: entry["valueFrom"]["secretKeyRef"]
        for entry in values["singleBinary"]["extraEnv"]
        if "valueFrom" in entry
    }
    assert keys == {
        key: {"name": "s3-keys", "key": key} for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }


def test_it_starts_on_fewer_nodes_than_it_has_processes(seen: Values) -> None:
    """The chart demands a node for each. Wished for is a zone for each, and a node."""
    binary = seen["singleBinary"]
    assert binary["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == []
    assert {spread["whenUnsatisfiable"] for spread in binary["topologySpreadConstraints"]} <= {
        "ScheduleAnyway"
    }


@pytest.mark.parametrize(("replicas", "several"), [(1, False), (2, True)])
def test_a_drain_goes_on_whatever_the_number(replicas: int, several: bool) -> None:  # noqa: FBT001
    binary = _values("created", replicas=replicas)["singleBinary"]
    assert binary["podDisruptionBudget"] == {"enabled": several, "maxUnavailable": 1}


@pytest.mark.parametrize(("storage_class", "written"), [("gp3", {"storageClass": "gp3"}), (None, {})])
def test_its_volumes_are_as_the_settings_say(storage_class: str | None, written: dict[str, str]) -> None:
    persistence = _values("created", storage_class=storage_class)["singleBinary"]["persistence"]
    assert persistence == {"enabled": True, "size": "50Gi", **written}


def test_names_of_pods_make_no_streams(values: Values) -> None:
    labels = values["loki"]["distributor"]["otlp_config"]["default_resource_attributes_as_index_labels"]
    assert "k8s.namespace.name" in labels
    assert [label for label in labels if "pod" in label or "instance" in label] == []


def test_it_has_a_limit_of_memory_and_no_token_of_kubernetes(seen: Values) -> None:
    assert sorted(seen["singleBinary"]["resources"]["limits"]) == ["memory"]
    assert seen["defaults"]["automountServiceAccountToken"] is False


def test_it_stays_off_gpu_nodes(seen: Values) -> None:
    assert tolerating(seen) == []


def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = LokiArgs(
            charts=PublishedCharts(kind="published"),
            namespace="monitoring",
            after=[before],
            logs=LOGS,
            store=STORES["created"],
            region="eu-west-1",
            storage_class=None,
        )
        Loki("loki", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("loki", LOKI.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
