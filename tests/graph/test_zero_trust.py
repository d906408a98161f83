"""Who may talk to whom in prod: every pair of pods, by evaluators that share nothing with the program.

`tests/zero_trust/` reads the objects that prod renders to, as the documents of Kubernetes and of Istio say that they act.
What is not in a table below is closed.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from ops.program_graph import ProgramGraph
from settings import load_stack_file
from tests.zero_trust.mesh import PROBES, TUNNEL_PORT, Workload
from tests.zero_trust.network import Endpoint
from tests.zero_trust.world import MESH, NETWORK, OPEN, World, anybody, dns, world

pytestmark = pytest.mark.graph

MODELS = ("qwen-7b-vllm", "qwen3-235b-a22b", "qwen3-embedding")
STREAMED = "InferenceService qwen3-235b-a22b"
GATEWAY = "Gateway api-gateway"
PROMETHEUS = "prometheus server"
REDIS = "Deployment ratelimit-redis"
LIMITER = {"app.kubernetes.io/name": "envoy-ratelimit", "app.kubernetes.io/component": "ratelimit"}
LOAD_BALANCER = Endpoint(ip="10.40.1.7")
KUBELET = Endpoint(ip=PROBES)
INTERNET = "198.51.100.7"


@pytest.fixture(scope="module")
def prod(_graphs: Callable[[str], ProgramGraph]) -> World:
    return world(_graphs("prod").resources)


def test_every_kind_of_pod_is_there(prod: World, root: Path) -> None:
    """Else the tables below would be about less than they say."""
    asked = load_stack_file(root / "Pulumi.prod.yaml").asked
    installed = {unit.name for unit in asked.units("managed") if unit.runs}
    own = {f"InferenceService {name}" for name in MODELS} | {GATEWAY, PROMETHEUS, REDIS}
    assert installed | own == set(prod.pods) - {
        "prometheus-definitions",
        "istio-base",
        "kserve-definitions",
        "karpenter-definitions",
    }


def test_only_the_gateway_reaches_a_model_and_only_prometheus_its_metrics(prod: World) -> None:
    allowed = {(GATEWAY, 8000), (PROMETHEUS, 8001)}
    for name, source, port in product(MODELS, prod.pods, (8000, 8001, 22)):
        target = prod.pods[f"InferenceService {name}"]
        passes = prod.passes(prod.pods[source], target, port)
        assert (passes == OPEN) == ((source, port) in allowed), (source, name, port, passes)


def test_a_pod_beside_the_models_reaches_none_of_them_whatever_it_is_called(prod: World) -> None:
    """With the labels of the gateway the network would let it through; without the gateway's account the mesh does not."""
    gateway = prod.pods[GATEWAY]
    target = prod.pods["InferenceService qwen-7b-vllm"]
    assert prod.passes(anybody("llm-prod"), target, 8000) == NETWORK
    disguised = Workload(ip="10.40.31.251", namespace="llm-prod", labels=gateway.labels, account="default")
    assert prod.passes(disguised, target, 8000) == MESH
    elsewhere = anybody("kserve", "api-gateway", **gateway.labels)
    assert prod.passes(elsewhere, target, 8000) == NETWORK


def test_without_network_policies_the_mesh_alone_keeps_everybody_out(prod: World) -> None:
    target = prod.pods["InferenceService qwen-7b-vllm"]
    for name, source in prod.pods.items():
        lets = {port: prod.mesh.lets_through(source, target, port) for port in (8000, 8001)}
        assert lets == {8000: name == GATEWAY, 8001: name == PROMETHEUS}, name


def test_who_calls_the_gateway(prod: World) -> None:
    """Whoever has an address of the load balancer's subnets comes in, as on any public way, and needs a token."""
    gateway = prod.pods[GATEWAY]
    for name, source in prod.pods.items():
        meshed = prod.mesh.has(source)
        # Redis calls nobody.
        assert (prod.passes(source, gateway, 8080) == OPEN) == (not meshed and name != REDIS), name
        metrics = prod.passes(source, gateway, 19001) == OPEN
        assert metrics == (name == PROMETHEUS), name
        assert prod.passes(source, gateway, 19000) != OPEN, name
    assert prod.passes(LOAD_BALANCER, gateway, 8080) == OPEN
    assert prod.passes(LOAD_BALANCER, gateway, 19001) == NETWORK
    assert prod.passes(Endpoint(ip=INTERNET), gateway, 8080) == NETWORK
    assert prod.passes(LOAD_BALANCER, prod.pods[STREAMED], 8000) == NETWORK


def test_kubelets_reach_the_ports_of_probes_and_no_others(prod: World) -> None:
    model, gateway = prod.pods["InferenceService qwen-7b-vllm"], prod.pods[GATEWAY]
    probed = {8000: model, 19002: gateway, 19003: gateway}
    for port, target in probed.items():
        assert prod.passes(KUBELET, target, port) == OPEN
    assert prod.passes(KUBELET, model, 8001) == NETWORK
    assert prod.passes(KUBELET, gateway, 8080) == NETWORK
    assert prod.passes(Endpoint(ip="10.40.0.4", node=True), model, 8001) == OPEN


def test_whom_prometheus_and_the_collector_take_calls_from(prod: World) -> None:
    """On its own port Prometheus answers KEDA and the others that are outside of the mesh; nothing else is plain."""
    server, collector = prod.pods[PROMETHEUS], prod.pods["otel-gateway"]
    for name in ("keda", "kserve", "external-secrets"):
        outside = prod.pods[name]
        assert prod.passes(outside, server, 9090) == OPEN, name
        assert prod.passes(outside, server, 8080) == MESH, name
        assert prod.passes(outside, collector, 4317) == MESH, name
    assert prod.passes(prod.pods["otel-agent"], collector, 4317) == OPEN
    assert prod.passes(server, collector, 8888) == OPEN
    for name in MODELS:
        assert prod.passes(prod.pods[f"InferenceService {name}"], server, 9090) == NETWORK


@pytest.mark.parametrize(
    ("source", "ip", "port", "passes"),
    [
        ("InferenceService qwen-7b-vllm", INTERNET, 443, False),
        ("InferenceService qwen-7b-vllm", "169.254.169.254", 80, False),
        ("InferenceService qwen3-embedding", INTERNET, 443, False),
        (STREAMED, INTERNET, 443, True),
        (STREAMED, INTERNET, 80, False),
        (STREAMED, "10.40.2.2", 443, False),
        (STREAMED, "169.254.170.23", 80, True),
        (STREAMED, "169.254.169.254", 80, False),
        (STREAMED, "169.254.169.254", 443, False),
        (GATEWAY, INTERNET, 443, True),
        (GATEWAY, INTERNET, 80, False),
        (GATEWAY, "169.254.169.254", 443, False),
        (GATEWAY, "169.254.169.254", 80, False),
    ],
)
def test_what_leaves_the_cluster(prod: World, source: str, ip: str, port: int, *, passes: bool) -> None:
    assert prod.leaves(prod.pods[source], ip, port) == passes


def test_whom_the_gateway_and_the_models_call_inside(prod: World) -> None:
    gateway, streamed, baked = (
        prod.pods[name] for name in (GATEWAY, STREAMED, "InferenceService qwen-7b-vllm")
    )
    controller = prod.pods["envoy-gateway"]
    assert prod.passes(gateway, controller, 18000) == OPEN
    assert prod.passes(gateway, controller, 18001) == NETWORK
    collector = prod.pods["otel-gateway"]
    for source in (gateway, streamed, baked):
        for protocol in ("UDP", "TCP"):
            assert prod.passes(source, dns(), 53, protocol) == OPEN
        # Spans.
        assert prod.passes(source, collector, 4317) == OPEN
        assert prod.passes(source, anybody("default"), 80) == NETWORK
    assert prod.passes(streamed, baked, 8000) == NETWORK


def test_who_counts_requests_is_asked_by_the_gateway_and_asks_redis_alone(prod: World) -> None:
    limiter, redis = anybody("envoy-gateway-system", **LIMITER), prod.pods[REDIS]
    assert prod.passes(limiter, redis, 6379) == OPEN
    for name, source in prod.pods.items():
        assert prod.passes(source, redis, 6379) == NETWORK, name
    assert prod.passes(prod.pods[GATEWAY], limiter, 8081) == OPEN
    for name in MODELS:
        assert prod.passes(prod.pods[f"InferenceService {name}"], limiter, 8081) == NETWORK


def test_between_pods_of_the_mesh_nothing_is_plain(prod: World) -> None:
    """Of two pods that are both in the mesh the network sees one port."""
    inside = [pod for pod in prod.pods.values() if prod.mesh.has(pod)]
    assert len(inside) == len(MODELS) + 4
    for source, target in product(inside, inside):
        assert prod.mesh.wire_port(source, target, 8000) == TUNNEL_PORT
        assert prod.mesh.mode(target, 8000) == "STRICT"
