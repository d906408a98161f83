"""What each setting of the gateway means, as in `meanings`."""

from typing import Final

GATEWAY_MEANINGS: Final[dict[str, str]] = {
    "Settings.gateway": "Who may come in through the gateway (`docs/gateway.md`).",
    "Gateway.authentication": "How callers are known; `off` in `dev` alone.",
    "Gateway.consumers": "With any, nobody else may call; without, every valid token may call every model.",
    "Gateway.limits": (
        "How much one consumer may ask; left out: 100 requests a minute where tokens are asked for and the program installs Envoy Gateway."
    ),
    "NoLimits.kind": "as often as the models answer",
    "RequestLimits.kind": "so many requests a minute, over all replicas of the gateway and all models",
    "RequestLimits.requests_per_minute": "Of each consumer without a plan or a number of its own.",
    "RequestLimits.plans": "Other limits, which consumers name.",
    "RequestLimits.store": "The Redis that requests are counted in; left out: `managed`.",
    "RequestLimits.when_down": (
        "What happens to requests while nobody can count them: `refuse` (500) or `pass`; left out: `refuse`."
    ),
    "Plan.name": "Name of the plan.",
    "Plan.requests_per_minute": "Of each of its consumers.",
    "ManagedStore.kind": "a small one that the program runs beside the rate limiter; it keeps nothing",
    "ManagedStore.image": "Its image with a tag, and a digest if you like: Valkey or Redis.",
    "ExternalStore.kind": "one that is there already",
    "ExternalStore.address": "Its host and port.",
    "ExternalStore.tls": "Whether it is asked over TLS, by a certificate that the rate limiter's image trusts.",
    "ExternalStore.password_secret": (
        "A Secret in the namespace `envoy-gateway-system` with the key `password`: a password, or `user:password`. It must exist."
    ),
    "Gateway.origins": "Origins of pages that may call from a browser: scheme, host and port; `*.` may stand before the host.",
    "Gateway.max_body_bytes": "Largest request.",
    "NoAuthentication.kind": "not at all: whoever reaches the gateway may call every model",
    "JwtAuthentication.kind": "by a signed token that says when it ends, in `Authorization: Bearer`",
    "JwtAuthentication.issuer": "Who issues the tokens: their claim `iss`.",
    "JwtAuthentication.audiences": "One of them must be in a token's claim `aud`.",
    "JwtAuthentication.keys": "What tokens are verified with.",
    "JwtAuthentication.consumer_claim": "The claim that says who calls; models and log get it as a header.",
    "RemoteKeys.kind": "a key set that the issuer publishes",
    "RemoteKeys.uri": "Its address, `https://`.",
    "LocalKeys.kind": "keys in the stack file; two are valid at once while one replaces the other",
    "LocalKeys.keys": "Public keys of a JWK set.",
    "PublicKey.kty": "Type of the key.",
    "PublicKey.kid": "Its id, which a token names.",
    "PublicKey.alg": "The one algorithm that it verifies, e.g. `RS256`; the other fields are as the issuer publishes them.",
    "Consumer.name": "Value of the claim.",
    "Consumer.models": "Models that it may call.",
    "Consumer.plan": "Its plan, one of `limits.plans`.",
    "Consumer.requests_per_minute": "A limit of its own, in the place of a plan.",
}
