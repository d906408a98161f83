"""How many requests of one consumer the gateway lets through, as the part of a BackendTrafficPolicy that says so.

Pure. Every rule is shared: what counts is what a consumer asks of all models, whichever route it takes. Rules add up in Envoy Gateway, so
each is made such that a request meets exactly one: a quota names its consumers, everybody's excludes them, and a token that names
nobody is counted with all others of its kind (Envoy counts nothing by a header that is not there).
"""

from typing import Any, Final

from settings.gateway import Gateway
from settings.limits import RequestLimits
from settings.quotas import quotas

CONSUMER_HEADER: Final = "x-user-id"
"""Who calls, as the token says; what the image's middleware writes into the log of requests."""
_EACH: Final = {"name": CONSUMER_HEADER, "type": "Distinct"}
_ANY_NAME: Final = ".*"


def request_limit(gateway: Gateway, limits: RequestLimits | None) -> dict[str, Any]:
    """Return the policy's part; empty where nothing is limited."""
    if limits is None:
        return {}
    named = quotas(gateway.consumers, limits)
    rules = [
        _rule([_names(quota.pattern), _EACH], requests_per_minute=quota.requests_per_minute)
        for quota in named
    ]
    others = [_names(quota.pattern, but=True) for quota in named]
    rules.append(_rule([*others, _EACH], requests_per_minute=limits.requests_per_minute))
    rules.append(_rule([_names(_ANY_NAME, but=True)], requests_per_minute=limits.requests_per_minute))
    return {"rateLimit": {"global": {"rules": rules}}}


def _names(pattern: str, *, but: bool = False) -> dict[str, Any]:
    return {"name": CONSUMER_HEADER, "type": "RegularExpression", "value": pattern, "invert": but}


def _rule(headers: list[dict[str, Any]], *, requests_per_minute: int) -> dict[str, Any]:
    return {
        "clientSelectors": [{"headers": headers}],
        "limit": {"requests": requests_per_minute, "unit": "Minute"},
        "shared": True,
    }
