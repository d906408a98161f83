"""What counts requests for the gateway: Envoy Gateway's rate limiter, and the Redis that it counts in.

Owns: the part of Envoy Gateway's own configuration, and a small Redis (Valkey) where the stack has none. Does not own: the rate
limiter's Deployment, which Envoy Gateway makes beside itself as `envoy-ratelimit`, and the limits (`gateway_limits`).

The Redis keeps nothing on a disk: counters live for a minute, and after a restart each consumer begins its minute anew. It has no
password: a network policy admits the rate limiter and nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.inference_service import container_security, pod_security
from settings.limits import ExternalStore, ManagedStore, RequestLimits

if TYPE_CHECKING:
    from pulumi_kubernetes.apps.v1 import DeploymentSpecArgsDict
    from pulumi_kubernetes.networking.v1 import NetworkPolicySpecArgsDict

STORE: Final = "ratelimit-redis"
"""Name of the managed Redis: Deployment, Service, and its label `app.kubernetes.io/name`."""
REDIS_PORT: Final = 6379
ANSWER_TIMEOUT: Final = "250ms"
"""Until a proxy takes the rate limiter for dead. Envoy Gateway's own 20 ms are less than a busy node's pause."""
_REDIS_TIMEOUT: Final = "1s"
_STORE_MEMORY: Final = "64mb"
LIMITER_LABELS: Final = {
    "app.kubernetes.io/name": "envoy-ratelimit",
    "app.kubernetes.io/component": "ratelimit",
}
"""Of the rate limiter's pods, by Envoy Gateway."""
LIMITER_PORT: Final = 8081
"""Where proxies ask the rate limiter."""
_LABELS: Final = {"app.kubernetes.io/name": STORE, "app.kubernetes.io/component": "rate-limits"}


@dataclass(frozen=True, kw_only=True)
class RateLimitStoreArgs:
    """`namespace` of Envoy Gateway, whose rate limiter asks. image: of Valkey or Redis."""

    namespace: pulumi.Input[str]
    image: str


class RateLimitStore(pulumi.ComponentResource):
    """Runs the Redis. `deployment` is there once it answers."""

    deployment: Deployment

    def __init__(
        self, name: str, args: RateLimitStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:addons:RateLimitStore", name, {}, opts)
        meta = ObjectMetaArgs(
            name=STORE,
            namespace=args.namespace,
            labels={**_LABELS, "app.kubernetes.io/part-of": "vllm-platform"},
        )
        child = pulumi.ResourceOptions(parent=self)
        Service(
            f"{name}-service",
            metadata=meta,
            spec={
                "selector": _LABELS,
                "ports": [{"name": "redis", "port": REDIS_PORT, "target_port": REDIS_PORT}],
            },
            opts=child,
        )
        policy = NetworkPolicy(
            f"{name}-network",
            metadata=meta,
            # Spelt as the API does, like the pods of models: the SDK takes that as well.
            spec=cast("NetworkPolicySpecArgsDict", network_spec()),
            opts=child,
        )
        self.deployment = Deployment(
            f"{name}-deployment",
            metadata=meta,
            spec=cast("DeploymentSpecArgsDict", store_spec(args.image)),
            # Not data: closed before it is there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({"address": f"{STORE}:{REDIS_PORT}"})


def network_spec() -> dict[str, Any]:
    """Return who reaches the Redis: the rate limiter. It calls nobody."""
    return {
        "podSelector": {"matchLabels": _LABELS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": LIMITER_LABELS}}],
                "ports": [{"protocol": "TCP", "port": REDIS_PORT}],
            }
        ],
    }


def store_spec(image: str) -> dict[str, Any]:
    """Return the Deployment's spec. One replica: two would count apart."""
    listening = {"tcpSocket": {"port": REDIS_PORT}}
    container = {
        "name": "redis",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["valkey-server"],
        "args": [
            *("--port", str(REDIS_PORT), "--save", "", "--appendonly", "no"),
            # Without a password it would answer its own pod alone.
            *("--protected-mode", "no"),
            *("--maxmemory", _STORE_MEMORY, "--maxmemory-policy", "volatile-ttl"),
        ],
        "ports": [{"name": "redis", "containerPort": REDIS_PORT, "protocol": "TCP"}],
        "readinessProbe": {**listening, "periodSeconds": 5},
        "livenessProbe": {**listening, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": container_security(),
    }
    return {
        "replicas": 1,
        "selector": {"matchLabels": _LABELS},
        # Never two at once: a limit would be as good as doubled.
        "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": {**_LABELS, "app.kubernetes.io/part-of": "vllm-platform"}},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": pod_security(),
                "containers": [container],
            },
        },
    }


def managed_image(limits: RequestLimits | None) -> str | None:
    """Return the image of the Redis that the program runs; None where it runs none."""
    if limits is None or isinstance(limits.store, ExternalStore):
        return None
    return (limits.store or ManagedStore(kind="managed")).image


def limiter_values(limits: RequestLimits) -> dict[str, Any]:
    """Return `rateLimit` of Envoy Gateway's configuration: where requests are counted, and what happens when nobody counts."""
    store = limits.store
    redis: dict[str, Any] = {"url": f"{STORE}:{REDIS_PORT}"}
    if isinstance(store, ExternalStore):
        redis = {"url": store.address, **({"tls": {}} if store.tls else {})}
    return {
        "backend": {"type": "Redis", "redis": redis},
        "timeout": ANSWER_TIMEOUT,
        "failClosed": limits.when_down != "pass",
        "telemetry": {"metrics": {"prometheus": {"disable": True}}},
    }


def limiter_deployment(
    limits: RequestLimits, *, replicas: int, spread: list[dict[str, Any]]
) -> Mapping[str, Any]:
    """Return what Envoy Gateway is told of the rate limiter's pods. `spread`: over zones."""
    environment: list[dict[str, Any]] = [
        # A new one that knows no limit yet would let everything through: until it does it gets no request.
        {"name": "HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED", "value": "true"},
        # Without Prometheus it writes all of its counters into its log, every ten seconds.
        {"name": "DISABLE_STATS", "value": "true"},
        # Its own ten seconds are how long it waits for a Redis whose node is gone.
        {"name": "REDIS_TIMEOUT", "value": _REDIS_TIMEOUT},
    ]
    if isinstance(limits.store, ExternalStore) and limits.store.password_secret:
        key = {"name": limits.store.password_secret, "key": "password"}
        environment.append({"name": "REDIS_AUTH", "valueFrom": {"secretKeyRef": key}})
    deployment = {
        "replicas": replicas,
        "pod": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "topologySpreadConstraints": spread,
        },
        "container": {
            "env": environment,
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        },
    }
    budget = {"rateLimitPDB": {"maxUnavailable": 1}} if replicas > 1 else {}
    return {"rateLimitDeployment": deployment, **budget}
