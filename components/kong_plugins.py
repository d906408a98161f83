"""What Kong's plugins are told, from the stack's settings. Pure.

Kong runs one instance of a plugin for a request: of the consumer, else of the route. So what changes headers and path is one plugin, and
requests are counted by a plugin of the consumer: one of a route would count for each model anew.
"""

from typing import Any, Final

from settings.kong import KongGateway, KongTokens, RedisCounters
from settings.public_key import pem

CONSUMER_HEADER: Final = "x-user-id"
"""Who calls; what the image's middleware writes into the log of requests."""
REST: Final = "rest"
"""Of the path, behind a model's own part: a name in the route's expression, which the plugin reads."""
CORS_MAX_AGE_SECONDS: Final = 600
REDIS_TIMEOUT_MS: Final = 1000
TOO_MANY: Final = 429
# A proxy that can not count lets nobody through.
FAULT_TOLERANT: Final = False


def tokens(settings: KongTokens) -> dict[str, Any]:
    """Return what a token must say, and where it is looked for: not in addresses, which stand in logs, nor in cookies."""
    return {
        "key_claim_name": settings.consumer_claim,
        "claims_to_verify": ["exp", "nbf"],
        "maximum_expiration": settings.longest_seconds,
        "header_names": ["authorization"],
        "uri_param_names": [],
        "cookie_names": [],
        "run_on_preflight": False,
    }


def credential(settings: KongTokens, consumer: str) -> dict[str, str]:
    """Return by what Kong knows a consumer: the value of the claim, and the key with its one algorithm."""
    return {
        "key": consumer,
        "algorithm": settings.key.alg,
        "rsa_public_key": pem(settings.key.kty, settings.key.model_extra or {}),
    }


def callers(model: str) -> dict[str, Any]:
    """Return who may call a model: those of the group that is called as it is."""
    return {"allow": [model], "hide_groups_header": True}


def rewriting() -> dict[str, Any]:
    """Return what of a request reaches an engine: who calls, as the token said, the path below `/v1`, and no token."""
    return {
        # What a client wrote is removed before anything is added.
        "remove": {"headers": [CONSUMER_HEADER, "authorization"]},
        "replace": {"uri": f'/v1$(uri_captures["{REST}"])'},
        "add": {"headers": [f'{CONSUMER_HEADER}:$(headers["x-consumer-username"])']},
    }


def sizes(settings: KongGateway) -> dict[str, Any]:
    """Return the largest request."""
    return {
        "allowed_payload_size": settings.max_body_bytes,
        "size_unit": "bytes",
        "require_content_length": False,
    }


def pages(settings: KongGateway) -> dict[str, Any]:
    """Return which pages of the web may call."""
    return {
        "origins": list(settings.origins),
        "methods": ["GET", "POST", "OPTIONS"],
        "headers": ["authorization", "content-type"],
        "exposed_headers": ["x-request-id", "retry-after"],
        "max_age": CORS_MAX_AGE_SECONDS,
        "credentials": False,
        "preflight_continue": False,
    }


def rate(settings: KongGateway, requests_per_minute: int) -> dict[str, Any]:
    """Return how many requests a consumer has. The password of a Redis is patched in from its Secret."""
    counters = settings.limits.counters
    config: dict[str, Any] = {
        "minute": requests_per_minute,
        "limit_by": "consumer",
        "policy": "local",
        "fault_tolerant": FAULT_TOLERANT,
        "hide_client_headers": False,
        "error_code": TOO_MANY,
        "error_message": "Too many requests: try again later.",
    }
    if not isinstance(counters, RedisCounters):
        return config
    host, _, port = counters.address.rpartition(":")
    redis: dict[str, Any] = {
        "host": host,
        "port": int(port),
        "timeout": REDIS_TIMEOUT_MS,
        "ssl": counters.tls,
    }
    if counters.tls:
        redis |= {"ssl_verify": True, "server_name": host}
    return {**config, "policy": "redis", "redis": redis}


def rate_patches(settings: KongGateway) -> list[dict[str, Any]]:
    """Return what is added to it from a Secret."""
    counters = settings.limits.counters
    if not isinstance(counters, RedisCounters) or counters.password_secret is None:
        return []
    reference = {"name": counters.password_secret, "key": "password"}
    return [{"path": "/redis/password", "valueFrom": {"secretKeyRef": reference}}]
