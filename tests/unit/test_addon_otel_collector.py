"""The collector's two releases: who they are, what they may, and that nothing is lost on the way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace
from vllm_platform_middleware.record import RequestRecord

from components.addons.loki import LOKI_URL
from components.addons.otel_audit import AuditStream
from components.addons.otel_collector import (
    OtelAgent,
    OtelAgentArgs,
    OtelGateway,
    OtelGatewayArgs,
    agent_values,
    gateway_values,
)
from components.addons.otel_lines import FIELDS
from components.addons.otel_pipelines import KEPT, OTLP_GRPC, OTLP_HTTP
from components.addons.table import UNITS as ROWS
from components.addons.table import Site
from components.addons.tempo import TEMPO_OTLP
from components.audit_bucket import GATEWAY_PREFIX
from components.charts import OTEL_COLLECTOR
from components.gateway_log import FIELDS as ACCESS_FIELDS
from components.node_agents import LOG_AGENT
from ops.recorder import Recorder
from settings import load_stack_file
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.audit import NoAudit
from settings.charts import PublishedCharts
from settings.kong import KongGateway
from settings.observability import SampledTracing
from tests.charts import merged, published_values, schema_errors, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Values = dict[str, Any]
CHART: Final = "opentelemetry-collector"
# Not shown for `enabled: false`; templates/pdb.yaml reads it.
EXCEPTIONS: Final = ("podDisruptionBudget.maxUnavailable",)
# With their second names since 0.14x (`file_log` was `filelog`, `otlp_grpc` was `otlp`): manifest of otelcol-k8s 0.158.0.
IN_THE_IMAGE: Final[Mapping[str, set[str]]] = {
    "receivers": {"otlp", "file_log"},
    "processors": {"filter", "k8s_attributes", "memory_limiter", "redaction", "tail_sampling", "transform"},
    "exporters": {"load_balancing", "otlp_grpc", "otlp_http", "nop"},
    "extensions": {"health_check", "file_storage"},
}
AUDIT: Final = AuditStream(bucket="acme-audit", region="us-east-1", namespace="llm-prod")
# `contrib` alone has it.
BEYOND: Final = {"awss3"}
UNITS: Final = {
    "otel-gateway": gateway_values(logs=True, traces=True, replicas=2, monitored=True),
    "otel-gateway with traces": gateway_values(
        logs=True, traces=True, replicas=2, monitored=True, tracing=SampledTracing(kind="sampled")
    ),
    "otel-agent": agent_values(monitored=True),
    "otel-agent with an audit stream": agent_values(monitored=True, audit=AUDIT),
}


@pytest.fixture(params=UNITS)
def values(request: pytest.FixtureRequest) -> Values:
    return UNITS[request.param]


@pytest.fixture
def seen(root: Path, values: Values) -> Values:
    return merged(values, published_values(root, CHART))


@pytest.fixture
def gateway() -> Values:
    return UNITS["otel-gateway"]["alternateConfig"]


@pytest.fixture
def agent() -> Values:
    return UNITS["otel-agent"]["alternateConfig"]


class TestBoth:
    def test_every_value_is_one_that_the_chart_reads(self, root: Path, values: Values) -> None:
        assert unknown_keys(values, published_values(root, CHART), EXCEPTIONS) == []

    # The schema names a draft that there is not; the newest is taken.
    @pytest.mark.filterwarnings("ignore:The metaschema specified:DeprecationWarning")
    def test_the_chart_s_schema_takes_them(self, root: Path, values: Values) -> None:
        assert schema_errors(root, CHART, values) == []

    def test_the_image_is_named_and_has_every_part_that_is_configured(self, values: Values) -> None:
        beyond: set[str] = set()
        for kind, known in IN_THE_IMAGE.items():
            beyond |= {name.partition("/")[0] for name in values["alternateConfig"][kind]} - known
        assert beyond <= BEYOND
        image = "opentelemetry-collector-contrib" if beyond else "opentelemetry-collector-k8s"
        assert values["image"]["repository"] == f"otel/{image}"

    def test_every_part_that_is_configured_is_used_and_no_other(self, values: Values) -> None:
        config = values["alternateConfig"]
        for kind in ("receivers", "processors", "exporters"):
            pipelines = config["service"]["pipelines"].values()
            assert {name for pipeline in pipelines for name in pipeline[kind]} == set(config[kind]), kind
        assert set(config["service"]["extensions"]) == set(config["extensions"])

    def test_text_is_removed_on_every_way(self, values: Values) -> None:
        for name, pipeline in values["alternateConfig"]["service"]["pipelines"].items():
            # What is handed to a peer is not kept: the peer's own way removes it.
            assert "redaction" in pipeline["processors"] or pipeline["exporters"] == ["load_balancing"], name

    def test_memory_is_limited_first(self, values: Values) -> None:
        assert sorted(values["resources"]["limits"]) == ["memory"]
        for pipeline in values["alternateConfig"]["service"]["pipelines"].values():
            assert pipeline["processors"][0] == "memory_limiter"

    def test_nothing_answers_before_it_has_sent(self, values: Values) -> None:
        """A batch that is only in memory is one that was taken and can be lost."""
        assert "batch" not in values["alternateConfig"]["processors"]

    def test_helm_and_the_collector_leave_every_pattern_as_it_is(self, values: Values) -> None:
        """The chart reads the configuration as a template, the collector `$` as a variable."""
        for pattern in _texts(values["alternateConfig"]["processors"]):
            assert "{{" not in pattern
            assert "$" not in pattern

    def test_it_has_no_right_over_the_node_beyond_its_files(self, seen: Values) -> None:
        assert seen["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert seen["podSecurityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (seen["hostNetwork"], seen["hostPID"]) == (False, False)

    def test_what_it_keeps_lies_on_a_volume(self, values: Values) -> None:
        assert values["alternateConfig"]["extensions"]["file_storage"]["directory"] == KEPT
        (mount,) = [m for m in values["extraVolumeMounts"] if m["mountPath"] == KEPT]
        assert mount["name"] in {volume["name"] for volume in values["extraVolumes"]}


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in cast("Mapping[str, object]", value).values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in cast("list[object]", value) for text in _texts(item)]
    return [value] if isinstance(value, str) else []


class TestGateway:
    def test_others_find_it_under_its_name(self) -> None:
        name = UNITS["otel-gateway"]["fullnameOverride"]
        host = f"{name}.{ADDON_NAMESPACES['otel-gateway']}.svc.cluster.local"
        assert (f"{host}:4317", f"http://{host}:4318") == (OTLP_GRPC, OTLP_HTTP)

    def test_it_listens_for_otlp_and_nothing_else(self, root: Path, gateway: Values) -> None:
        assert set(gateway["receivers"]) == {"otlp"}
        ports = merged(UNITS["otel-gateway"], published_values(root, CHART))["ports"]
        assert {name for name, port in ports.items() if port["enabled"]} == {"otlp", "otlp-http", "metrics"}

    def test_it_stays_off_gpu_nodes(self, root: Path) -> None:
        assert tolerating(merged(UNITS["otel-gateway"], published_values(root, CHART))) == []

    def test_logs_and_traces_go_where_they_are_kept(self, gateway: Values) -> None:
        assert gateway["exporters"]["otlp_http/logs"]["endpoint"] == f"{LOKI_URL}/otlp"
        assert gateway["exporters"]["otlp_grpc/traces"]["endpoint"] == TEMPO_OTLP
        pipelines = gateway["service"]["pipelines"]
        assert pipelines["logs"]["exporters"] == ["otlp_http/logs"]
        assert pipelines["traces"]["exporters"] == ["otlp_grpc/traces"]

    @pytest.mark.parametrize(("logs", "traces"), [(True, False), (False, True), (False, False)])
    def test_what_nobody_keeps_is_taken_all_the_same(self, logs: bool, traces: bool) -> None:  # noqa: FBT001
        """Else its senders would see errors, and the agent would keep what nobody ever takes."""
        config = gateway_values(logs=logs, traces=traces, replicas=1, monitored=False)["alternateConfig"]
        pipelines = config["service"]["pipelines"]
        assert (pipelines["logs"]["exporters"] != ["nop"]) == logs
        assert (pipelines["traces"]["exporters"] != ["nop"]) == traces
        assert {name for pipeline in pipelines.values() for name in pipeline["exporters"]} == set(
            config["exporters"]
        )

    def test_all_spans_of_a_trace_come_to_the_pod_that_decides(self) -> None:
        """Each pod hands every span to the one that the trace's id leads to, and keeps nothing of what it was not handed."""
        config = UNITS["otel-gateway with traces"]["alternateConfig"]
        pipelines, receivers = config["service"]["pipelines"], config["receivers"]
        assert pipelines["traces"]["exporters"] == ["load_balancing"]
        assert "tail_sampling" not in pipelines["traces"]["processors"]
        assert pipelines["traces/kept"]["receivers"] == ["otlp/peers"]
        assert pipelines["traces/kept"]["exporters"] == ["otlp_grpc/traces"]
        resolver = config["exporters"]["load_balancing"]["resolver"]["dns"]
        assert receivers["otlp/peers"]["protocols"]["grpc"]["endpoint"].endswith(f":{resolver['port']}")
        (service,) = UNITS["otel-gateway with traces"]["extraManifests"]
        meta, spec = service["metadata"], service["spec"]
        assert resolver["hostname"] == f"{meta['name']}.{meta['namespace']}.svc.cluster.local"
        assert spec["clusterIP"] == "None"
        assert [str(port["targetPort"]) for port in spec["ports"]] == [resolver["port"]]

    @pytest.mark.parametrize("tracing", [SampledTracing(kind="sampled"), None])
    def test_one_pod_hands_on_nothing(self, tracing: SampledTracing | None) -> None:
        values = gateway_values(logs=True, traces=True, replicas=1, monitored=False, tracing=tracing)
        config = values["alternateConfig"]
        assert set(config["receivers"]) == {"otlp"}
        assert ("tail_sampling" in config["service"]["pipelines"]["traces"]["processors"]) == bool(tracing)
        assert values["extraManifests"] == []

    def test_the_agent_hears_what_loki_answers(self, gateway: Values) -> None:
        logs = gateway["exporters"]["otlp_http/logs"]
        assert logs["sending_queue"] == {"enabled": False}
        assert logs["retry_on_failure"] == {"enabled": False}

    def test_traces_wait_on_disk(self, gateway: Values) -> None:
        assert gateway["exporters"]["otlp_grpc/traces"]["sending_queue"]["storage"] == "file_storage"

    @pytest.mark.parametrize(
        ("replicas", "budget"), [(1, {"enabled": False}), (2, {"enabled": True, "maxUnavailable": 1})]
    )
    def test_a_drain_goes_on_whatever_the_number(self, replicas: int, budget: dict[str, Any]) -> None:
        values = gateway_values(logs=True, traces=True, replicas=replicas, monitored=False)
        assert values["replicaCount"] == replicas
        assert values["podDisruptionBudget"] == budget
        assert len(values["topologySpreadConstraints"]) == replicas - 1

    def test_it_runs_as_nobody_without_a_token(self) -> None:
        values = UNITS["otel-gateway"]
        assert values["podSecurityContext"]["runAsNonRoot"] is True
        assert values["serviceAccount"]["automountServiceAccountToken"] is False


class TestAgent:
    def test_it_has_the_account_that_the_admission_rule_knows(self) -> None:
        assert ADDON_NAMESPACES["otel-agent"] == LOG_AGENT.namespace
        account = UNITS["otel-agent"]["serviceAccount"]
        assert account == {"create": True, "name": LOG_AGENT.service_account}

    def test_it_runs_on_every_node_and_before_models(self, root: Path) -> None:
        values = merged(UNITS["otel-agent"], published_values(root, CHART))
        assert values["mode"] == "daemonset"
        assert tolerating(values) == ["tolerations"]
        assert values["priorityClassName"] == "system-node-critical"

    def test_it_opens_no_port_of_its_node(self, root: Path) -> None:
        """The chart opens those of receivers on the node's own address."""
        ports = merged(UNITS["otel-agent"], published_values(root, CHART))["ports"]
        enabled = {name: port for name, port in ports.items() if port["enabled"]}
        assert set(enabled) == {"metrics"}
        assert "hostPort" not in enabled["metrics"]

    def test_it_reads_logs_of_pods_and_can_change_none(self, agent: Values) -> None:
        (mount,) = [m for m in UNITS["otel-agent"]["extraVolumeMounts"] if m["mountPath"] == "/var/log/pods"]
        assert mount["readOnly"] is True
        # With what a kubelet put aside before it was read.
        assert agent["receivers"]["file_log"]["include"] == [
            "/var/log/pods/*/*/*.log",
            "/var/log/pods/*/*/*.log.*",
        ]

    def test_it_does_not_read_what_collectors_say(self, agent: Values) -> None:
        place = ADDON_NAMESPACES["otel-agent"]
        assert f"/var/log/pods/{place}_otel-*/*/*" in agent["receivers"]["file_log"]["exclude"]

    def test_no_line_is_lost_or_read_twice_when_it_starts_again(self, agent: Values) -> None:
        files = agent["receivers"]["file_log"]
        assert (files["start_at"], files["storage"]) == ("beginning", "file_storage")

    def test_what_can_not_be_sent_waits_on_the_node_without_an_end(self, agent: Values) -> None:
        sender = agent["exporters"]["otlp_grpc"]
        assert sender["endpoint"] == OTLP_GRPC
        assert sender["sending_queue"]["storage"] == "file_storage"
        assert sender["sending_queue"]["block_on_overflow"] is True
        assert sender["retry_on_failure"]["max_elapsed_time"] == "0s"
        (disk,) = [v for v in UNITS["otel-agent"]["extraVolumes"] if v["name"] == "kept"]
        assert disk["hostPath"]["type"] == "DirectoryOrCreate"

    def test_it_waits_longer_than_the_gateway_does(self, agent: Values, gateway: Values) -> None:
        seconds = [
            int(exporter["timeout"].removesuffix("s"))
            for exporter in (agent["exporters"]["otlp_grpc"], gateway["exporters"]["otlp_http/logs"])
        ]
        assert seconds[0] > seconds[1]

    def test_text_is_removed_before_anything_is_kept_or_sent(self, agent: Values) -> None:
        """The queue belongs to the exporter, which comes after."""
        assert agent["service"]["pipelines"]["logs"]["processors"][-1] == "redaction"

    def test_it_asks_kubernetes_for_pods_of_its_node_and_reads_nothing_else(self, agent: Values) -> None:
        assert agent["processors"]["k8s_attributes"]["filter"] == {"node_from_env_var": "OTEL_K8S_NODE_NAME"}
        (rule,) = UNITS["otel-agent"]["clusterRole"]["rules"]
        assert rule["resources"] == ["pods", "namespaces"]
        assert rule["verbs"] == ["get", "list", "watch"]


class TestAudit:
    """The gateway's lines, beside the other logs."""

    @pytest.fixture
    def stream(self) -> Values:
        return UNITS["otel-agent with an audit stream"]["alternateConfig"]

    def test_the_other_logs_are_as_without_it(self, agent: Values, stream: Values) -> None:
        assert stream["service"]["pipelines"]["logs"] == agent["service"]["pipelines"]["logs"]
        assert stream["exporters"]["otlp_grpc"] == agent["exporters"]["otlp_grpc"]

    def test_it_has_a_queue_of_its_own_and_is_sent_for_ever(self, stream: Values) -> None:
        sender = stream["exporters"]["awss3/audit"]
        assert sender["sending_queue"]["storage"] == "file_storage"
        assert sender["sending_queue"]["block_on_overflow"] is True
        assert sender["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}

    def test_text_is_removed_and_other_lines_are_dropped_before_anything_is_kept(
        self, stream: Values
    ) -> None:
        processors = stream["service"]["pipelines"]["logs/audit"]["processors"]
        assert processors[-2:] == ["filter/audit", "redaction"]

    def test_an_object_lies_where_the_agent_s_role_may_write(self, stream: Values) -> None:
        uploader = stream["exporters"]["awss3/audit"]["s3uploader"]
        assert (uploader["s3_bucket"], uploader["s3_prefix"]) == (AUDIT.bucket, GATEWAY_PREFIX)

    def test_prod_has_it(self, root: Path) -> None:
        settings = load_stack_file(root / "Pulumi.prod.yaml")
        told = ROWS["otel-agent"].own(Site(settings=settings))["audit"]
        assert told == AuditStream(
            bucket="acme-llm-prod-audit", region="us-east-1", namespace=settings.namespace
        )

    @pytest.mark.parametrize(
        "changes", [{"audit": NoAudit(kind="off")}, {"gateway": KongGateway.model_construct(kind="kong")}]
    )
    def test_without_a_bucket_or_envoy_there_is_none(self, root: Path, changes: Mapping[str, object]) -> None:
        settings = load_stack_file(root / "Pulumi.prod.yaml").model_copy(update=changes)
        assert ROWS["otel-agent"].own(Site(settings=settings))["audit"] is None


class TestLines:
    """What the agent makes of a line; that it does is shown with the real collector."""

    def test_every_field_of_the_engines_and_the_gateway_s_lines_is_known(self) -> None:
        written = {*RequestRecord._fields, *ACCESS_FIELDS}
        assert sorted(written - set(FIELDS)) == []
        assert set(FIELDS) - written <= {"trace_id"}

    def test_what_was_read_was_sent_or_kept_before_it_counts_as_read(self) -> None:
        (arguments,) = UNITS["otel-agent"]["command"]["extraArgs"]
        assert arguments == "--feature-gates=stanza.synchronousLogEmitter"


@pytest.mark.parametrize("unit", ["otel-gateway", "otel-agent"])
def test_the_release_is_pinned_and_waits_for_what_comes_before(deploy: Deploy, unit: str) -> None:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        charts = PublishedCharts(kind="published")
        if unit == "otel-gateway":
            told = OtelGatewayArgs(
                charts=charts, namespace="monitoring", after=[before], logs=True, traces=True
            )
            OtelGateway(unit, told, options)
        else:
            OtelAgent(unit, OtelAgentArgs(charts=charts, namespace="monitoring", after=[before]), options)

    recorder = deploy(program)
    release = recorder.one("kubernetes:helm.sh/v3:Release")
    assert (release.inputs["name"], release.inputs["version"]) == (unit, OTEL_COLLECTOR.version)
    assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies
