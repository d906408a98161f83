"""Traces in the collector's gateway: which are kept is decided when a request is over, and what of a span may not stay is removed.

A request's spans come from Envoy and from an engine, each when its part is done, so whether a request was slow or failed is known
then. All spans of one trace must be with one pod for that: with several pods each hands what it takes to the pod that the trace's
id leads to, itself among them.
"""

from typing import Any, Final

from components.node_agents import MONITORING_NAMESPACE
from settings.observability import SampledTracing

GATEWAY: Final = "otel-gateway"
PEERS: Final = f"{GATEWAY}-peers"
"""Service without an address: its name leads to every pod that is ready."""
PEER_PORT: Final = 4316
PROXIES: Final = "gateway"
"""`service.name` of Envoy's spans, as its log has it."""
WAIT_SECONDS: Final = 15
"""From a trace's first span to the decision. Both ends send within five seconds of a request's end."""
TRACES: Final = 50_000
"""That wait at once: 3,333 new ones a second. Of more the oldest are decided early."""
_REMEMBERED: Final = 100_000
# Of Envoy and vLLM: numbers, names that the stack gives, and the path. Not the client's own name for itself, nor what may come.
_STAY: Final = (
    r"\A(?:component|error|node_id|guid:x-request-id|peer[.]address|response_flags|re(?:quest|sponse)_size"
    r"|http[.](?:method|protocol|status_code|url)|upstream_(?:address|cluster|cluster[.]name)|k8s[.][\w.]+"
    r"|gen_ai[.](?:usage|latency)[.]\w+|gen_ai[.]request[.](?:id|max_tokens|n|temperature|top_p)|gen_ai[.]response[.]model"
    r"|code[.](?:filepath|function|lineno|namespace))\z"
)


def spans() -> dict[str, Any]:
    """Return the configuration of the processor `transform` for spans of the gateway and of engines. Others' stay as they are."""
    ours = [
        f'resource.attributes["service.name"] == "{PROXIES}"',
        'resource.attributes["vllm.process_id"] != nil',
    ]
    stay = _STAY.replace("\\", "\\\\")
    return {
        "error_mode": "silent",
        "trace_statements": [
            {
                "context": "span",
                "conditions": ours,
                "statements": [
                    'replace_pattern(span.attributes["http.url"], "[?#].*", "")',
                    f'keep_matching_keys(span.attributes, "{stay}")',
                    # Of an exception: it quotes what it is about.
                    'set(span.status.message, "")',
                ],
            },
            {
                "context": "spanevent",
                "conditions": ours,
                "statements": [
                    r'delete_matching_keys(spanevent.attributes, "\\Aexception[.](?:message|stacktrace)\\z")'
                ],
            },
        ],
    }


def sampling(tracing: SampledTracing) -> dict[str, Any]:
    """Return the configuration of the processor `tail_sampling`: what failed, what was slow, and a share of the rest."""
    return {
        "decision_wait": f"{WAIT_SECONDS}s",
        "num_traces": TRACES,
        # A span that comes late goes the way of its trace.
        "decision_cache": {"sampled_cache_size": _REMEMBERED, "non_sampled_cache_size": _REMEMBERED},
        "policies": [
            {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
            {
                "name": "slow",
                "type": "latency",
                "latency": {"threshold_ms": round(tracing.slower_than_seconds * 1000)},
            },
            {
                "name": "share",
                "type": "probabilistic",
                "probabilistic": {"sampling_percentage": tracing.percent},
            },
        ],
    }


def to_peers() -> dict[str, Any]:
    """Return the configuration of the exporter `load_balancing`."""
    return {
        "routing_key": "traceID",
        # The mesh encrypts.
        "protocol": {"otlp": {"tls": {"insecure": True}, "timeout": "5s"}},
        "resolver": {
            "dns": {
                "hostname": f"{PEERS}.{MONITORING_NAMESPACE}.svc.cluster.local",
                "port": str(PEER_PORT),
                "interval": "5s",
            }
        },
    }


def peers_service(labels: dict[str, str]) -> dict[str, Any]:
    """Return the Service by which the gateway's pods find each other. `labels`: of those pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": PEERS, "namespace": MONITORING_NAMESPACE},
        "spec": {
            "clusterIP": "None",
            "selector": labels,
            "ports": [
                {"name": "otlp-peers", "port": PEER_PORT, "targetPort": PEER_PORT, "appProtocol": "grpc"}
            ],
        },
    }
