"""What a setting opens, and that it is closed without that setting: stacks that differ in one thing."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from components.model_names import fill_account
from components.security.destinations import destination
from components.security.mesh_rules import access_spec
from components.security.network_rules import closed_spec, party_spec
from components.security.openings import openings
from components.security.parties import Addresses, Party, Port
from components.weight_fill import fill_labels
from settings import Settings
from settings.addons import Addons
from settings.content_filter import Guard, RuleFilter, ServerGuard, StackGuard
from settings.gateway import Gateway, JwtAuthentication, LocalKeys, PublicKey, RemoteKeys
from settings.observability import Observability
from settings.security import AddressCaller, Caller, DefaultDeny, NamespaceCaller, Security
from settings.sources import HuggingFaceSource, ModelScopeSource
from settings.storage import Storage
from settings.weights import CachedWeights, JobFill
from tests.unit.test_shared_claim import STORE
from tests.zero_trust.mesh import Workload
from tests.zero_trust.network import Endpoint
from tests.zero_trust.world import MESH, NETWORK, OPEN, World, anybody, dns, world

pytestmark = pytest.mark.unit

CHAT, EMBEDDING = "qwen-7b-vllm", "qwen3-embedding"
HUB: Final = Endpoint(ip="198.51.100.9")
INSIDE: Final = "10.0.0.9"
KEY: Final = PublicKey.model_validate(
    {"kty": "EC", "kid": "a", "alg": "ES256", "crv": "P-256", "x": "A", "y": "A"}
)
ON: Final = {
    "istio": "existing",
    "envoy_gateway": "existing",
    "gateway_api": "existing",
    "prometheus": "existing",
}


def _stack(local: Settings, addons: Mapping[str, str] = ON, **sections: Any) -> Settings:  # noqa: ANN401
    return local.model_copy(update={"addons": Addons.model_validate(addons), **sections})


def _world(settings: Settings) -> World:
    """Put the rules of a stack together, and a pod of each of its parties."""
    found = openings(settings)
    space = settings.namespace
    mesh = {"istio.io/dataplane-mode": "ambient"} if settings.meshed else {}
    objects: list[dict[str, Any]] = [
        {"kind": "Namespace", "metadata": {"name": space, "labels": mesh}},
        _rule("NetworkPolicy", space, closed_spec()),
        *(_rule("NetworkPolicy", space, party_spec(party, found.rows)) for party in found.guarded),
    ]
    if settings.meshed:
        access = [access_spec(party, found.rows) for party in found.guarded]
        objects += [
            _rule("PeerAuthentication", space, {"mtls": {"mode": "STRICT"}}),
            _rule("AuthorizationPolicy", space, {}),
            *(_rule("AuthorizationPolicy", space, spec) for spec in access if spec),
        ]
    rules = world({"type": "", "inputs": each} for each in objects)
    pods = {party.name: _pod(party, number) for number, party in enumerate(found.guarded)}
    return World(pods=pods, network=rules.network, mesh=rules.mesh)


def _rule(kind: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "x", "namespace": namespace}, "spec": spec}


def _pod(party: Party, number: int) -> Workload:
    inbound = ("ambient.istio.io/bypass-inbound-capture",) if party.name == "api-gateway" else ()
    return Workload(
        ip=f"10.1.0.{number + 1}",
        namespace=party.namespace,
        labels=party.labels,
        account=party.accounts[0] if party.accounts else "default",
        annotations=inbound,
    )


class TestCallers:
    CALLERS: Final[tuple[Caller, ...]] = (
        NamespaceCaller(kind="namespace", name="chat"),
        AddressCaller(kind="addresses", block="192.0.2.0/24"),
    )

    def _with(self, local: Settings, addons: Mapping[str, str], callers: tuple[Caller, ...]) -> World:
        network = DefaultDeny(kind="default-deny", callers=callers)
        return _world(_stack(local, addons, security=Security(network=network)))

    def test_nobody_is_let_in_who_is_not_named(self, local: Settings) -> None:
        closed = self._with(local, ON, ())
        for source in (anybody("chat"), Endpoint(ip="192.0.2.7")):
            assert closed.passes(source, closed.pods["api-gateway"], 8080) == NETWORK

    def test_callers_reach_the_gateway_in_and_out_of_the_mesh_and_no_model(self, local: Settings) -> None:
        found = self._with(local, ON, self.CALLERS)
        meshed = anybody("chat", **{"istio.io/dataplane-mode": "ambient"})
        for source in (anybody("chat"), meshed, Endpoint(ip="192.0.2.7")):
            assert found.passes(source, found.pods["api-gateway"], 8080) == OPEN
            assert found.passes(source, found.pods["api-gateway"], 19001) != OPEN
            assert found.passes(source, found.pods[CHAT], 8000) == NETWORK
        assert found.passes(anybody("other"), found.pods["api-gateway"], 8080) == NETWORK

    def test_without_a_gateway_they_call_the_models(self, local: Settings) -> None:
        plain = self._with(local, {}, self.CALLERS)
        for source in (anybody("chat"), Endpoint(ip="192.0.2.7")):
            assert plain.passes(source, plain.pods[CHAT], 8000) == OPEN
            assert plain.passes(source, plain.pods[CHAT], 8001) == NETWORK
        assert plain.passes(anybody("other"), plain.pods[CHAT], 8000) == NETWORK

    def test_of_a_mesh_without_a_gateway_only_those_in_it(self, local: Settings) -> None:
        found = self._with(local, {"istio": "existing"}, self.CALLERS[:1])
        meshed = anybody("chat", **{"istio.io/dataplane-mode": "ambient"})
        assert found.passes(meshed, found.pods[CHAT], 8000) == OPEN
        assert found.passes(anybody("chat"), found.pods[CHAT], 8000) == MESH

    def test_kong_stands_where_envoy_would(self, local: Settings) -> None:
        found = self._with(local, {"istio": "existing", "kong": "managed", "gateway_api": "existing"}, ())
        labels = {"app.kubernetes.io/name": "kong", "app.kubernetes.io/component": "app"}
        mesh = {"istio.io/dataplane-mode": "ambient"}
        kong = anybody("kong", "kong", **labels, **mesh)
        assert found.passes(kong, found.pods[CHAT], 8000) == OPEN
        assert found.passes(kong, found.pods[CHAT], 8001) == MESH
        assert found.passes(anybody("kong", "other", **labels, **mesh), found.pods[CHAT], 8000) == MESH


class TestStrangers:
    @pytest.mark.parametrize("istio", ["existing", "off"])
    def test_a_pod_beside_the_models_calls_nobody_and_is_called_by_none(
        self, local: Settings, istio: str
    ) -> None:
        found = _world(_stack(local, {**ON, "istio": istio}))
        stranger = anybody("llm-prod")
        assert not found.leaves(stranger, HUB.ip, 443)
        assert not found.leaves(stranger, "169.254.169.254", 80)
        assert found.passes(stranger, dns(), 53, "UDP") == NETWORK
        for pod in found.pods.values():
            for port in (8000, 8001, 8080, 19001):
                assert found.passes(stranger, pod, port) == NETWORK
                assert found.passes(pod, stranger, port) == NETWORK


class TestWithoutAMesh:
    def test_the_network_says_which_port(self, local: Settings) -> None:
        found = _world(_stack(local, {**ON, "istio": "off"}))
        prometheus = anybody("monitoring", **{"app.kubernetes.io/name": "prometheus"})
        gateway = found.pods["api-gateway"]
        assert found.passes(gateway, found.pods[CHAT], 8000) == OPEN
        assert found.passes(gateway, found.pods[CHAT], 8001) == NETWORK
        assert found.passes(prometheus, found.pods[CHAT], 8001) == OPEN
        assert found.passes(prometheus, found.pods[CHAT], 8000) == NETWORK


class TestMetrics:
    def test_without_prometheus_nobody_reads_them(self, local: Settings) -> None:
        found = _world(_stack(local, {**ON, "prometheus": "off"}))
        prometheus = anybody("monitoring", "platform-prometheus", **{"app.kubernetes.io/name": "prometheus"})
        assert found.passes(prometheus, found.pods[CHAT], 8001) == NETWORK

    def test_one_that_exists_is_known_by_its_own_account(self, local: Settings) -> None:
        account = {"namespace": "metrics", "account": "prom"}
        security = Security.model_validate({"prometheus": account})
        found = _world(_stack(local, security=security))
        labels = {"app.kubernetes.io/name": "prometheus", "istio.io/dataplane-mode": "ambient"}
        assert found.passes(anybody("metrics", "prom", **labels), found.pods[CHAT], 8001) == OPEN
        assert found.passes(anybody("metrics", "other", **labels), found.pods[CHAT], 8001) == MESH
        assert (
            found.passes(anybody("monitoring", "platform-prometheus", **labels), found.pods[CHAT], 8001)
            == NETWORK
        )


class TestKeys:
    def _with(self, local: Settings, keys: Any) -> World:  # noqa: ANN401
        jwt = JwtAuthentication(kind="jwt", issuer="i", audiences=("a",), keys=keys)
        return _world(_stack(local, gateway=Gateway(authentication=jwt)))

    def test_the_gateway_leaves_the_cluster_only_for_keys_that_are_elsewhere(self, local: Settings) -> None:
        remote = self._with(local, RemoteKeys(kind="remote", uri="https://login.example.com:8443/jwks"))
        assert remote.leaves(remote.pods["api-gateway"], HUB.ip, 8443)
        assert not remote.leaves(remote.pods["api-gateway"], HUB.ip, 443)
        own = self._with(local, LocalKeys(kind="local", keys=(KEY,)))
        assert not own.leaves(own.pods["api-gateway"], HUB.ip, 443)

    def test_it_asks_for_no_other_name_than_the_controller_s(self, local: Settings) -> None:
        own = self._with(local, LocalKeys(kind="local", keys=(KEY,)))
        gateway = own.pods["api-gateway"]
        assert own.passes(gateway, dns(), 53, "UDP") == OPEN
        controller = anybody("envoy-gateway-system", **{"control-plane": "envoy-gateway"})
        assert own.passes(gateway, controller, 18000) == OPEN
        assert own.passes(gateway, anybody("envoy-gateway-system"), 18000) == NETWORK


class TestLimits:
    @pytest.mark.parametrize(("limits", "passes"), [("requests", OPEN), ("off", NETWORK)])
    def test_the_gateway_asks_the_rate_limiter_only_where_there_are_limits(
        self, local: Settings, limits: str, passes: str
    ) -> None:
        gateway = Gateway.model_validate(
            {
                "authentication": {
                    "kind": "jwt",
                    "issuer": "i",
                    "audiences": ["a"],
                    "keys": {"kind": "local", "keys": [KEY]},
                },
                "limits": {"kind": limits},
            }
        )
        found = _world(_stack(local, gateway=gateway))
        labels = {"app.kubernetes.io/name": "envoy-ratelimit", "app.kubernetes.io/component": "ratelimit"}
        limiter = anybody("envoy-gateway-system", **labels)
        assert found.passes(found.pods["api-gateway"], limiter, 8081) == passes
        assert found.passes(found.pods["api-gateway"], limiter, 6379) == NETWORK
        assert found.passes(found.pods[CHAT], limiter, 8081) == NETWORK


class TestTraces:
    @pytest.mark.parametrize(("kind", "passes"), [("sampled", OPEN), ("off", NETWORK)])
    def test_spans_reach_the_collector_only_where_they_are_written(
        self, local: Settings, kind: str, passes: str
    ) -> None:
        found = _world(_stack(local, observability=Observability.model_validate({"tracing": {"kind": kind}})))
        labels = {"app.kubernetes.io/instance": "otel-gateway", "istio.io/dataplane-mode": "ambient"}
        collector = anybody("monitoring", **labels)
        for sender in ("api-gateway", CHAT):
            assert found.passes(found.pods[sender], collector, 4317) == passes
            assert found.passes(found.pods[sender], anybody("monitoring"), 4317) == NETWORK


class TestWeights:
    STORE: Final = STORE.model_copy(update={"endpoint": "https://10.0.0.9:9000"})

    def _cached(self, local: Settings, source: Any, storage: Storage) -> World:  # noqa: ANN401
        weights = CachedWeights(
            kind="cache", claim="c", mount_path="/mnt/c", fill=JobFill(kind="job", timeout_seconds=60)
        )
        model = local.models[0].model_copy(update={"weights": weights, "source": source})
        settings = _stack(local, models=(model, *local.models[1:]), storage=storage)
        found = _world(settings)
        pod = found.pods[fill_account(model)]
        assert pod.labels.items() <= fill_labels(model).items()
        assert model.fill
        return found

    @pytest.mark.parametrize(
        "source", [HuggingFaceSource(kind="huggingface"), ModelScopeSource(kind="modelscope")]
    )
    def test_the_job_reaches_its_hub_and_the_model_nobody(self, local: Settings, source: Any) -> None:  # noqa: ANN401
        found = self._cached(local, source, Storage())
        fill, model = found.pods[f"{CHAT}-fill"], found.pods[CHAT]
        assert found.leaves(fill, HUB.ip, 443)
        assert not found.leaves(fill, HUB.ip, 80)
        assert not found.leaves(fill, INSIDE, 443)
        assert not found.leaves(model, HUB.ip, 443)
        assert found.passes(model, dns(), 53, "UDP") == NETWORK
        assert found.passes(found.pods["api-gateway"], fill, 8000) == NETWORK

    def test_a_mirror_may_be_inside_and_is_reached_on_its_own_port(self, local: Settings) -> None:
        mirror = HuggingFaceSource(kind="huggingface", endpoint="https://hub.internal:8443")
        found = self._cached(local, mirror, Storage())
        fill = found.pods[f"{CHAT}-fill"]
        assert found.leaves(fill, INSIDE, 8443)
        assert not found.leaves(fill, HUB.ip, 443)

    def test_a_store_by_its_address_is_the_only_one(self, local: Settings) -> None:
        found = _world(_stack(local, storage=Storage(bucket=self.STORE)))
        streamed = found.pods["qwen3-235b-a22b"]
        assert found.leaves(streamed, INSIDE, 9000)
        assert not found.leaves(streamed, "10.0.0.8", 9000)
        assert not found.leaves(streamed, HUB.ip, 443)
        assert not found.leaves(found.pods[CHAT], INSIDE, 9000)


class TestGuard:
    def _with(self, local: Settings, guard: Guard) -> World:
        rules = RuleFilter(kind="rules", guard=guard)
        return _world(_stack(local, content_filter=rules))

    def test_the_models_that_it_guards_reach_it_and_it_reaches_none(self, local: Settings) -> None:
        found = self._with(local, StackGuard(kind="model", model=EMBEDDING))
        chat, guard = found.pods[CHAT], found.pods[EMBEDDING]
        assert found.passes(chat, guard, 8000) == OPEN
        assert found.passes(chat, guard, 8001) == MESH
        assert found.passes(guard, chat, 8000) == NETWORK
        stranger = Workload(ip="10.1.0.99", namespace=guard.namespace, labels=chat.labels, account="x")
        assert found.passes(stranger, guard, 8000) == MESH

    def test_one_elsewhere_is_reached_where_it_is(self, local: Settings) -> None:
        found = self._with(local, ServerGuard(kind="server", url="http://10.0.0.9:8000", model="g"))
        assert found.leaves(found.pods[CHAT], INSIDE, 8000)
        assert not found.leaves(found.pods[CHAT], "10.0.0.10", 8000)


class TestDestinations:
    def test_an_address_is_itself(self) -> None:
        assert destination("http://10.0.0.9") == (Addresses(blocks=("10.0.0.9/32",)), (Port(number=80),))

    def test_a_name_may_be_anywhere_but_on_the_node_itself(self) -> None:
        side, ports = destination("https://s3.internal:9000")
        assert side == Addresses(blocks=("0.0.0.0/0",), without=("169.254.0.0/16",))
        assert ports == (Port(number=9000),)

    @pytest.mark.parametrize("name", ["minio.store.svc", "minio.store.svc.cluster.local"])
    def test_a_service_is_its_namespace_s_pods_on_whatever_port_they_listen(self, name: str) -> None:
        side, ports = destination(f"https://{name}:9000")
        assert isinstance(side, Party)
        assert (side.namespace, side.labels, ports) == ("store", {}, ())
