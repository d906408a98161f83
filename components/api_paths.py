"""Which paths of the API the gateway lets through, and how a route is matched by them.

Pure. An engine answers more than this (health, metrics, tokens of a text, files): none of it is for callers.
"""

from collections.abc import Mapping
from typing import Any, Final

from settings.facts import Task
from settings.models import Model

MODEL_HEADER: Final = "x-vp-model"
"""Which model a request is for: where the path does not say so, what its body names. Never what a client writes."""
ASKED: Final[Mapping[Task, tuple[str, ...]]] = {
    "generate": ("/v1/chat/completions", "/v1/completions"),
    "embed": ("/v1/embeddings",),
}
"""By what a model does, where it is asked."""
LISTED: Final = "/v1/models"
HEALTH_PATH: Final = "/healthz"
"""What load balancers ask. The proxy answers it by itself, and says no while it drains."""
ALL_ASKED: Final = tuple(path for paths in ASKED.values() for path in paths)
# What a browser asks before it may ask: without a route nobody answers it.
_PREFLIGHT: Final = "OPTIONS"
_FROM_A_PAGE: Final[Mapping[str, Any]] = {"type": "RegularExpression", "name": "origin", "value": ".+"}


def own_matches(model: Model) -> list[dict[str, Any]]:
    """Return the matches of a model's own paths, `/NAME/v1/...`."""
    found = [
        _match(f"/{model.name}{path}", method)
        for path in ASKED[model.task]
        for method in ("POST", _PREFLIGHT)
    ]
    return [*found, *(_match(f"/{model.name}{LISTED}", method) for method in ("GET", _PREFLIGHT))]


def named_matches(model: Model) -> list[dict[str, Any]]:
    """Return the matches of requests to `/v1/...` whose body names the model, or one of its adapters."""
    names = sorted({model.name, *(adapter.name for adapter in model.engine.adapters)})
    pattern = "|".join(name.replace(".", r"\.") for name in names)
    header = {"type": "RegularExpression", "name": MODEL_HEADER, "value": pattern}
    return [{**_match(path, "POST"), "headers": [header]} for path in ASKED[model.task]]


def asked_matches() -> list[dict[str, Any]]:
    """Return the matches of all requests to `/v1/...` that name a model in their body, or no model that there is."""
    return [_match(path, "POST") for path in ALL_ASKED]


def listed_matches() -> list[dict[str, Any]]:
    """Return the matches of who asks which models there are."""
    return [_match(LISTED, "GET")]


def page_matches() -> list[dict[str, Any]]:
    """Return the matches of what browsers send to `/v1/...` for a page: its questions, and what comes before them."""
    asked = [*asked_matches(), *listed_matches()]
    asked += [_match(path, _PREFLIGHT) for path in (*ALL_ASKED, LISTED)]
    return [{**match, "headers": [dict(_FROM_A_PAGE)]} for match in asked]


def _match(path: str, method: str) -> dict[str, Any]:
    return {"path": {"type": "Exact", "value": path}, "method": method}
