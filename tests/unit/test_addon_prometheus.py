"""Prometheus and what comes with it: it finds every monitor, keeps what it was told, and shows logs and traces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.loki import LOKI_URL
from components.addons.prometheus import (
    ALERTMANAGER_URL,
    GRAFANA,
    PROMETHEUS_ACCOUNT,
    PROMETHEUS_URL,
    Prometheus,
    PrometheusArgs,
    PrometheusDefinitions,
    PrometheusDefinitionsArgs,
    definition_values,
    prometheus_values,
)
from components.addons.tempo import TEMPO_URL
from components.charts import PROMETHEUS, PROMETHEUS_CRDS
from components.node_agents import NODE_EXPORTER
from ops.recorder import Recorder
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.charts import PublishedCharts
from settings.observability import Kept
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
CHART: Final = "kube-prometheus-stack"
METRICS: Final = Kept(days=15, volume="100Gi")
# Of parts whose own charts are not at hand: read in kube-state-metrics 8.4.0 and prometheus-node-exporter 4.56.1.
OF_PARTS: Final = (
    "kube-state-metrics.fullnameOverride",
    "kube-state-metrics.collectorsExclude",
    "kube-state-metrics.resources",
    "prometheus-node-exporter.fullnameOverride",
    "prometheus-node-exporter.serviceAccount",
    "prometheus-node-exporter.tolerations",
    "prometheus-node-exporter.priorityClassName",
    "prometheus-node-exporter.resources",
    "prometheus-node-exporter.securityContext",
    "prometheus-node-exporter.containerSecurityContext",
)
OF_GRAFANA: Final = (
    # Whatever stands below `grafana.ini` is written into the file of that name.
    "grafana.grafana.ini.auth.anonymous",
    "grafana.grafana.ini.analytics.reporting_enabled",
    # Read by the templates of Grafana's chart, and not in its values, or in a comment of theirs.
    "grafana.fullnameOverride",
    "grafana.rbac.useExistingClusterRole",
)


def _values(*, replicas: int = 2, logs: bool = True, traces: bool = True) -> Values:
    return prometheus_values(
        metrics=METRICS, storage_class="gp3", logs=logs, traces=traces, replicas=replicas
    )


@pytest.fixture
def values() -> Values:
    return _values()


@pytest.fixture
def published(root: Path) -> Values:
    """Return the chart's own values, with Grafana's below them, as Helm sees them."""
    found = published_values(root, CHART)
    return {**found, "grafana": merged(found["grafana"], published_values(root, "grafana"))}


@pytest.fixture
def seen(values: Values, published: Values) -> Values:
    return merged(values, published)


def _spec(values: Values) -> Values:
    return values["prometheus"]["prometheusSpec"]


class TestValues:
    def test_every_value_is_one_that_the_chart_reads(self, values: Values, published: Values) -> None:
        assert unknown_keys(values, published, (*OF_PARTS, *OF_GRAFANA)) == []

    def test_every_exception_is_used(self, values: Values, published: Values) -> None:
        assert set(unknown_keys(values, published)) == {*OF_PARTS, *OF_GRAFANA}

    def test_other_parts_find_it_under_the_names_that_the_chart_makes(self, values: Values) -> None:
        full, place = values["fullnameOverride"], ADDON_NAMESPACES["prometheus"]
        assert f"http://{full}-prometheus.{place}.svc.cluster.local:9090" == PROMETHEUS_URL
        assert f"http://{full}-alertmanager.{place}.svc.cluster.local:9093" == ALERTMANAGER_URL
        assert values["grafana"]["fullnameOverride"] == GRAFANA

    def test_models_know_it_by_its_account_and_only_its_own_pods_are_in_the_mesh(self) -> None:
        def labels(*, meshed: bool) -> dict[str, str]:
            values = prometheus_values(
                metrics=METRICS, storage_class=None, logs=True, traces=True, replicas=1, meshed=meshed
            )
            assert values["prometheus"]["serviceAccount"] == {"create": True, "name": PROMETHEUS_ACCOUNT}
            assert "podLabels" not in values["prometheusOperator"]
            return values["prometheus"]["prometheusSpec"]["podMetadata"]["labels"]

        assert labels(meshed=True) == {"istio.io/dataplane-mode": "ambient"}
        assert labels(meshed=False) == {}

    def test_it_takes_monitors_and_rules_of_everybody(self, values: Values, published: Values) -> None:
        """Else only those with a label of this release, of which other charts know nothing."""
        selectors = [key for key in _spec(published) if key.endswith("SelectorNilUsesHelmValues")]
        assert len(selectors) == 5
        assert [_spec(values)[selector] for selector in selectors] == [False] * 5

    def test_namespaces_are_not_narrowed_down(self, seen: Values) -> None:
        narrowed = {key: value for key, value in _spec(seen).items() if key.endswith("NamespaceSelector")}
        assert set(map(str, narrowed.values())) == {"{}"}

    def test_it_keeps_what_the_settings_say_on_volumes_that_never_run_full(self, values: Values) -> None:
        spec = _spec(values)
        assert (spec["retention"], spec["retentionSize"]) == ("15d", "87040MiB")
        claim = spec["storageSpec"]["volumeClaimTemplate"]["spec"]
        assert claim["resources"] == {"requests": {"storage": "100Gi"}}
        assert claim["storageClassName"] == "gp3"

    def test_without_a_class_its_volumes_are_of_the_cluster_s(self) -> None:
        values = prometheus_values(metrics=METRICS, storage_class=None, logs=True, traces=True, replicas=1)
        claim = _spec(values)["storageSpec"]["volumeClaimTemplate"]["spec"]
        assert "storageClassName" not in claim

    def test_nobody_is_told_that_a_managed_control_plane_is_down(self, values: Values) -> None:
        hidden = ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")
        assert [values[part] for part in hidden] == [{"enabled": False}] * 4

    def test_it_is_no_way_in_from_outside(self, seen: Values) -> None:
        for part in ("prometheus", "alertmanager", "grafana"):
            assert seen[part]["ingress"]["enabled"] is False
            assert seen[part]["route"]["main"]["enabled"] is False
            assert seen[part]["service"]["type"] == "ClusterIP"

    def test_nobody_writes_into_it(self, seen: Values) -> None:
        spec = _spec(seen)
        open_ways = ("enableRemoteWriteReceiver", "enableOTLPReceiver", "enableAdminAPI")
        assert [spec[way] for way in open_ways] == [False] * 3

    def test_a_rule_can_be_made_while_the_operator_is_away(self, values: Values) -> None:
        assert values["prometheusOperator"]["admissionWebhooks"]["failurePolicy"] == "Ignore"

    @pytest.mark.parametrize("part", ["prometheus", "alertmanager"])
    @pytest.mark.parametrize(("replicas", "several"), [(1, False), (2, True)])
    def test_a_drain_goes_on_whatever_the_number(self, part: str, replicas: int, several: bool) -> None:  # noqa: FBT001
        budget = _values(replicas=replicas)[part]["podDisruptionBudget"]
        assert budget == {"enabled": several, "minAvailable": 1}

    def test_two_of_it_lie_in_two_zones(self, values: Values) -> None:
        for spec in (_spec(values), values["alertmanager"]["alertmanagerSpec"]):
            assert spec["replicas"] == 2
            (spread,) = spec["topologySpreadConstraints"]
            assert spread["topologyKey"] == "topology.kubernetes.io/zone"

    def test_who_asks_stays_with_one_of_two(self) -> None:
        affinity = [_values(replicas=n)["prometheus"]["service"]["sessionAffinity"] for n in (1, 2)]
        assert affinity == ["None", "ClientIP"]

    def test_everything_that_runs_has_a_limit_of_memory(self, values: Values) -> None:
        operator = values["prometheusOperator"]
        parts = [
            operator,
            operator["prometheusConfigReloader"],
            operator["admissionWebhooks"]["patch"],
            _spec(values),
            values["alertmanager"]["alertmanagerSpec"],
            values["grafana"],
            values["grafana"]["sidecar"],
            values["kube-state-metrics"],
            values["prometheus-node-exporter"],
        ]
        assert [sorted(part["resources"]["limits"]) for part in parts] == [["memory"]] * 9

    def test_the_agent_alone_runs_on_gpu_nodes(self, seen: Values) -> None:
        assert tolerating(seen) == ["prometheus-node-exporter.tolerations"]

    def test_the_agent_has_the_account_that_the_admission_rule_knows(self, values: Values) -> None:
        agent = values["prometheus-node-exporter"]
        assert ADDON_NAMESPACES["prometheus"] == NODE_EXPORTER.namespace
        assert agent["serviceAccount"] == {"create": True, "name": NODE_EXPORTER.service_account}

    def test_no_part_reads_secrets_of_the_whole_cluster_for_nothing(self, values: Values) -> None:
        """Grafana looks for dashboards everywhere, and by the chart's own role would look into Secrets, too."""
        grafana = values["grafana"]
        (role,) = grafana["extraObjects"]
        assert grafana["rbac"]["useExistingClusterRole"] == role["metadata"]["name"]
        assert [rule["resources"] for rule in role["rules"]] == [["configmaps"]]
        assert grafana["sidecar"]["dashboards"]["resource"] == "configmap"
        assert grafana["sidecar"]["datasources"]["resource"] == "configmap"
        assert values["kube-state-metrics"]["collectorsExclude"] == ["secrets"]


class TestGrafana:
    @pytest.mark.parametrize(("traces", "features"), [(True, ["exemplar-storage"]), (False, [])])
    def test_a_counter_s_example_leads_to_its_trace_where_traces_are_kept(
        self,
        traces: bool,  # noqa: FBT001
        features: list[str],
    ) -> None:
        values = _values(traces=traces)
        assert values["prometheus"]["prometheusSpec"]["enableFeatures"] == features
        (uid,) = [
            source["uid"] for source in values["grafana"]["additionalDataSources"] if source["uid"] == "tempo"
        ] or [""]
        links = values["grafana"]["sidecar"]["datasources"].get("exemplarTraceIdDestinations", {})
        assert links.get("datasourceUid", "") == uid

    def test_dashboards_are_found_in_every_namespace_by_one_label(self, seen: Values) -> None:
        dashboards = seen["grafana"]["sidecar"]["dashboards"]
        assert dashboards["enabled"] is True
        assert (dashboards["label"], dashboards["labelValue"]) == ("grafana_dashboard", "1")
        assert dashboards["searchNamespace"] == "ALL"
        assert dashboards["provider"]["allowUiUpdates"] is False

    def test_nobody_gets_in_without_a_password_and_none_is_in_the_values(self, seen: Values) -> None:
        grafana = seen["grafana"]
        assert grafana["grafana.ini"]["auth.anonymous"] == {"enabled": False}
        assert "adminPassword" not in grafana
        assert grafana["admin"]["existingSecret"] == ""

    def test_it_is_one_pod_without_a_volume(self, seen: Values) -> None:
        assert seen["grafana"]["replicas"] == 1
        assert seen["grafana"]["persistence"]["enabled"] is False

    @pytest.mark.parametrize(
        ("logs", "traces", "sources"),
        [
            (True, True, {"Loki": LOKI_URL, "Tempo": TEMPO_URL}),
            (True, False, {"Loki": LOKI_URL}),
            (False, True, {"Tempo": TEMPO_URL}),
            (False, False, {}),
        ],
    )
    def test_it_shows_what_there_is(self, logs: bool, traces: bool, sources: dict[str, str]) -> None:  # noqa: FBT001
        found = _values(logs=logs, traces=traces)["grafana"]["additionalDataSources"]
        assert {source["name"]: source["url"] for source in found} == sources

    @pytest.mark.parametrize(("logs", "traces"), [(True, False), (False, True)])
    def test_no_link_leads_to_what_is_not_there(self, logs: bool, traces: bool) -> None:  # noqa: FBT001
        (source,) = _values(logs=logs, traces=traces)["grafana"]["additionalDataSources"]
        assert source["jsonData"] == {}


class TestDefinitions:
    def test_they_stay_when_the_release_goes(self) -> None:
        """`crds` and `crds.annotations` were read in the chart (31.0.1); its values are not at hand to check the keys."""
        assert definition_values() == {"crds": {"annotations": {"helm.sh/resource-policy": "keep"}}}

    def test_they_come_from_nowhere_else(self, values: Values) -> None:
        assert values["crds"] == {"enabled": False}

    def test_their_release_is_pinned_and_waits_for_what_comes_before(self, deploy: Deploy) -> None:
        def program() -> None:
            options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
            before = Namespace("before", metadata={"name": "before"}, opts=options)
            args = PrometheusDefinitionsArgs(
                charts=PublishedCharts(kind="published"), namespace="monitoring", after=[before]
            )
            PrometheusDefinitions("prometheus-definitions", args, options)

        recorder = deploy(program)
        release = recorder.one("kubernetes:helm.sh/v3:Release")
        assert release.inputs["name"] == "prometheus-definitions"
        assert release.inputs["version"] == PROMETHEUS_CRDS.version
        assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies


def test_the_release_is_pinned_leaves_kinds_alone_and_waits_for_what_comes_before(deploy: Deploy) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = PrometheusArgs(
            charts=PublishedCharts(kind="published"),
            namespace="monitoring",
            after=[before],
            metrics=METRICS,
            storage_class=None,
            logs=True,
            traces=True,
        )
        Prometheus("prometheus", args, options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == ("prometheus", PROMETHEUS.version)
    assert release.inputs["skipCrds"] is True
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
