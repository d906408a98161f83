"""What holds for every request that comes in through the gateway, before any route.

Owns: policies of Envoy Gateway on the Gateway: who may come in (SecurityPolicy), what of a request is a client's to
say (ClientTrafficPolicy), sizes, retries and limits (BackendTrafficPolicy), and patches of Envoy itself. Does not own:
the Gateway, the routes, who of the callers may call which model (`route_policy`), and what an error says (`gateway_errors`).

The patch of tokens: no policy of Envoy Gateway 1.9 can demand that a token says when it ends (JWTProvider has no such field), so
a token without `exp` would be valid for ever.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.envoy_gateway import OWN_API
from components.api_gateway import GATEWAY, LISTENER
from components.api_paths import HEALTH_PATH, MODEL_HEADER
from components.engine_files import KEEP_ALIVE_SECONDS
from components.gateway_errors import LISTENER_TYPE, errors_patch
from components.gateway_limits import CONSUMER_HEADER, request_limit
from settings.gateway import CLOCK_SKEW_SECONDS, Gateway, JwtAuthentication, LocalKeys
from settings.limits import RequestLimits

PROVIDER: Final = "issuer"
TRACE_HEADERS: Final = ("traceparent", "tracestate")
CORS_MAX_AGE: Final = "10m"
CLIENT_HEADERS: Final = (
    *("openai-organization", "openai-project"),
    *(
        f"x-stainless-{what}"
        for what in ("arch", "lang", "os", "package-version", "runtime", "runtime-version")
    ),
    *(f"x-stainless-{what}" for what in ("helper-method", "retry-count", "timeout")),
)
"""That OpenAI's own client for JavaScript sends (openai-node, src/client.ts): a page that may not send them can not use it."""
LIMIT_HEADERS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
RETRIES: Final = 2
# Before a request reached an engine: what was begun is never repeated, for an answer costs seconds of a GPU.
RETRY_TRIGGERS: Final = ("connect-failure", "refused-stream", "reset-before-request")
CONNECT_TIMEOUT: Final = "5s"
POOLED_SECONDS: Final = KEEP_ALIVE_SECONDS - 15
"""For how long Envoy keeps a connection to an engine that nobody uses. Less than the engine does."""
# Envoy's own limits of 1,024 would refuse what the engines' queues still take.
PARALLEL: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class GatewayPoliciesArgs:
    """`gateway`: the Gateway's name, known once it is there. limits: None is as many requests as come."""

    namespace: pulumi.Input[str]
    gateway: pulumi.Input[str]
    settings: Gateway
    limits: RequestLimits | None


class GatewayPolicies(pulumi.ComponentResource):
    """Makes them."""

    def __init__(
        self, name: str, args: GatewayPoliciesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:gateway:GatewayPolicies", name, {}, opts)
        target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": args.gateway}
        listener = pulumi.Output.concat(args.namespace, f"/{GATEWAY}/{LISTENER}")
        specs: dict[str, tuple[str, dict[str, Any]]] = {
            "client": ("ClientTrafficPolicy", {"targetRefs": [target], **client_policy()}),
            "backend": (
                "BackendTrafficPolicy",
                {"targetRefs": [target], **backend_policy(args.settings, args.limits)},
            ),
            "errors": ("EnvoyPatchPolicy", {"targetRef": target, **errors_patch(listener)}),
        }
        security = security_policy(args.settings)
        if security:
            specs["security"] = ("SecurityPolicy", {"targetRefs": [target], **security})
        if isinstance(args.settings.authentication, JwtAuthentication):
            specs["expiry"] = ("EnvoyPatchPolicy", {"targetRef": target, **expiry_patch(listener)})
        for role, (kind, spec) in specs.items():
            CustomResource(
                f"{name}-{role}",
                api_version=OWN_API,
                kind=kind,
                metadata=ObjectMetaArgs(
                    name=f"{GATEWAY}-{role}",
                    namespace=args.namespace,
                    labels={"app.kubernetes.io/part-of": "vllm-platform"},
                ),
                spec=spec,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"policies": sorted(specs)})


def client_policy() -> dict[str, Any]:
    """Return what of a request is not the client's to say: who it is, its id, and a path in disguise."""
    return {
        "headers": {
            # A client that named itself would be believed by model and log: only the token names somebody. And only a path or a body
            # names a model. A trace that a client began would be one of its choice, and kept or dropped as it says.
            "earlyRequestHeaders": {"remove": [CONSUMER_HEADER, MODEL_HEADER, *TRACE_HEADERS]},
            "requestID": "Generate",
        },
        "path": {"escapedSlashesAction": "RejectRequest"},
        "healthCheck": {"path": HEALTH_PATH},
        "timeout": {"http": {"requestReceivedTimeout": "60s"}},
    }


def security_policy(settings: Gateway, claims: Sequence[str] = ()) -> dict[str, Any]:
    """Return who may come in; empty where everybody may. `claims`: of the consumers that may, all where it is empty."""
    policy: dict[str, Any] = {}
    if settings.origins:
        policy["cors"] = {
            "allowOrigins": list(settings.origins),
            "allowMethods": ["GET", "POST", "OPTIONS"],
            "allowHeaders": ["authorization", "content-type", *CLIENT_HEADERS],
            "exposeHeaders": ["x-request-id", "retry-after", *LIMIT_HEADERS],
            "maxAge": CORS_MAX_AGE,
        }
    authentication = settings.authentication
    if not isinstance(authentication, JwtAuthentication):
        return policy
    policy["jwt"] = {"providers": [_provider(authentication)]}
    if claims:
        claim = authentication.consumer_claim
        # A claim of a rule takes 128 values.
        parts = [list(claims[at : at + 128]) for at in range(0, len(claims), 128)]
        policy["authorization"] = {
            "defaultAction": "Deny",
            "rules": [
                {
                    "name": f"consumers-{index}",
                    "action": "Allow",
                    "principal": {"jwt": {"provider": PROVIDER, "claims": [{"name": claim, "values": part}]}},
                }
                for index, part in enumerate(parts)
            ],
        }
    return policy


def _provider(authentication: JwtAuthentication) -> dict[str, Any]:
    keys = authentication.keys
    found: dict[str, Any] = (
        {"localJWKS": {"type": "Inline", "inline": key_set(keys)}}
        if isinstance(keys, LocalKeys)
        else {"remoteJWKS": {"uri": keys.uri, "cacheDuration": "300s"}}
    )
    return {
        "name": PROVIDER,
        "issuer": authentication.issuer,
        "audiences": list(authentication.audiences),
        **found,
        "claimToHeaders": [{"claim": authentication.consumer_claim, "header": CONSUMER_HEADER}],
        # By default a token in the address is taken too, and addresses stand in logs.
        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
    }


def key_set(keys: LocalKeys) -> str:
    """Return the keys as a JWK set: each says which one algorithm it verifies."""
    return json.dumps({"keys": [key.model_dump() for key in keys.keys]}, sort_keys=True)


def expiry_patch(listener: pulumi.Input[str]) -> dict[str, Any]:
    """Return the patch of a listener, by Envoy's name of it: a token must say when it ends, and clocks may differ little."""
    place = "..[?(@.name == 'envoy.filters.http.jwt_authn')].typed_config.providers.*"

    def patch(field: str, value: object) -> dict[str, Any]:
        return {
            "type": LISTENER_TYPE,
            "name": listener,
            "operation": {"op": "add", "jsonPath": place, "path": field, "value": value},
        }

    return {
        "type": "JSONPatch",
        "jsonPatches": [
            patch("require_expiration", value=True),
            patch("clock_skew_seconds", value=CLOCK_SKEW_SECONDS),
        ],
    }


def backend_policy(settings: Gateway, limits: RequestLimits | None) -> dict[str, Any]:
    """Return sizes, retries, and limits of connections and of requests."""
    return {
        "requestBuffer": {"limit": str(settings.max_body_bytes)},
        "retry": {"numRetries": RETRIES, "retryOn": {"triggers": list(RETRY_TRIGGERS)}},
        "timeout": {
            "tcp": {"connectTimeout": CONNECT_TIMEOUT},
            # An engine that ends an idle connection just as a request is sent on it would make that request fail.
            "http": {"connectionIdleTimeout": f"{POOLED_SECONDS}s"},
        },
        "circuitBreaker": {
            "maxConnections": PARALLEL,
            "maxParallelRequests": PARALLEL,
            "maxPendingRequests": PARALLEL,
        },
        **request_limit(settings, limits),
    }
