"""What the settings of Kong as the gateway mean; part of `meanings`."""

from typing import Final

KONG_MEANINGS: Final[dict[str, str]] = {
    "KongGateway.kind": "Kong, with less of what a token must say",
    "KongGateway.authentication": "How callers are known.",
    "KongGateway.consumers": "Nobody else may call.",
    "KongGateway.limits": "Requests a minute of each consumer.",
    "KongGateway.origins": "Origins of pages that may call from a browser.",
    "KongGateway.max_body_bytes": "Largest request.",
    "KongTokens.kind": "a signed token (JWT) of one issuer",
    "KongTokens.key": "The one public key that verifies tokens, as a JWK with `alg`.",
    "KongTokens.consumer_claim": "Who calls, by name of the claim; it reaches the model as `x-user-id`.",
    "KongTokens.longest_seconds": "Of a token's life from now, 60 to 31536000.",
    "KongConsumer.name": "Value of the claim.",
    "KongConsumer.models": "Models that it may call.",
    "KongConsumer.requests_per_minute": "Left out: everybody's.",
    "KongLimits.requests_per_minute": "Of each consumer, of all models together.",
    "KongLimits.counters": "Where requests are counted.",
    "LocalCounters.kind": "each proxy counts for itself, only in `dev`",
    "RedisCounters.kind": "all count in a Redis that is there",
    "RedisCounters.address": "Host and port.",
    "RedisCounters.tls": "Talk TLS with it, and check its certificate.",
    "RedisCounters.password_secret": "Secret in the models' namespace; its key `password` holds the password in quotation marks (JSON).",
}
