"""The API without a model's name in its path: `POST /v1/chat/completions`, as OpenAI's clients call it.

Owns: the route of these paths, what reads the model's name out of a body, the list of models, and how a model's own path becomes
the engine's. Does not own: the models' routes (`model_route`), one of which takes the request once its model is known.

Envoy routes before it has a body. So the request is matched by this route, which nobody is behind; the body is read there, no longer
than the settings' `max_body_bytes`; its model becomes a header, and Envoy matches again, now by header. Who may come in, who may call
which model and what is counted is asked of the route that is found last. A request that names no model there is gets 404.

Pages of the settings' origins: Envoy says who may call from where (CORS) only on routes with somebody behind them, and says it of the
route that is found first. So theirs leads to the models, and to no path that an engine has: the script takes the word `origin` away
before Envoy matches again, so that nothing is ever found there twice.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.envoy_gateway import OWN_API
from components.api_gateway import API_VERSION, GATEWAY
from components.api_paths import asked_matches, listed_matches, page_matches
from components.gateway_errors import ERRORS, error_body
from components.gateway_policies import security_policy
from components.model_names import SERVICE_PORT, predictor_name
from settings.gateway import Gateway
from settings.models import Model

ROUTE: Final = f"{GATEWAY}-models"
OWN_PATH: Final = f"{GATEWAY}-own-path"
"""Name of the filter that takes a model's name out of a path."""
FILTER_KIND: Final = "HTTPRouteFilter"
_TARGET: Final = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": ROUTE}
_LISTED: Final = f"{GATEWAY}-listed"
_UNKNOWN: Final = f"{GATEWAY}-unknown"
_SCRIPT: Final = Path(__file__).with_name("body_model.lua")
_JSON: Final = "application/json"
_MOST_BACKENDS: Final = 16
"""Of a rule, in the Gateway API."""
_NOWHERE: Final = "/-"
"""No path of an engine's: should the script fail, what it has not read reaches no model."""


@dataclass(frozen=True, kw_only=True)
class CommonApiArgs:
    """`gateway`: its name. settings: who may see the list. after: what closes the gateway."""

    namespace: pulumi.Input[str]
    gateway: pulumi.Input[str]
    models: Sequence[Model]
    settings: Gateway
    after: Sequence[pulumi.Resource] = ()


class CommonApi(pulumi.ComponentResource):
    """Makes it. `filters`: what a model's route refers to."""

    filters: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: CommonApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:gateway:CommonApi", name, {}, opts)
        filters = {
            OWN_PATH: own_path(),
            _LISTED: listed([model.name for model in args.models]),
            _UNKNOWN: unknown(),
        }
        specs = {key: (FILTER_KIND, key, spec) for key, spec in filters.items()}
        specs["reader"] = ("EnvoyExtensionPolicy", ROUTE, reader_spec())
        if args.settings.consumers:
            specs["security"] = ("SecurityPolicy", ROUTE, callers_spec(args.settings))
        made = {
            role: CustomResource(
                f"{name}-{role}",
                api_version=OWN_API,
                kind=kind,
                metadata=_meta(object_name, args.namespace),
                spec=spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
            )
            for role, (kind, object_name, spec) in specs.items()
        }
        self.filters = [made[OWN_PATH]]
        CustomResource(
            f"{name}-http",
            api_version=API_VERSION,
            kind="HTTPRoute",
            metadata=_meta(ROUTE, args.namespace),
            spec=route_spec(args.models, args.settings, gateway=args.gateway),
            # Not data: without who reads a body none is understood, and without who closes the route strangers see the list.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*made.values(), *args.after]),
        )
        self.register_outputs({"route": ROUTE})


def _meta(name: str, namespace: pulumi.Input[str]) -> ObjectMetaArgs:
    return ObjectMetaArgs(
        name=name, namespace=namespace, labels={"app.kubernetes.io/part-of": "vllm-platform"}
    )


def route_spec(models: Sequence[Model], settings: Gateway, *, gateway: pulumi.Input[str]) -> dict[str, Any]:
    """Return the route's spec: nothing stands behind it but an answer, and where pages come first nothing that they can reach."""
    rules: list[dict[str, Any]] = [
        {"matches": asked_matches(), "filters": [filter_of(_UNKNOWN)]},
        {"matches": listed_matches(), "filters": [filter_of(_LISTED)]},
    ]
    running = [model for model in models if not model.stopped][:_MOST_BACKENDS]
    if settings.origins and running:
        nowhere = {"path": {"type": "ReplaceFullPath", "replaceFullPath": _NOWHERE}}
        rules.append(
            {
                "matches": page_matches(),
                "filters": [{"type": "URLRewrite", "urlRewrite": nowhere}],
                "backendRefs": [
                    {"name": predictor_name(model.name), "port": SERVICE_PORT} for model in running
                ],
            }
        )
    return {"parentRefs": [{"name": gateway}], "rules": rules}


def filter_of(name: str) -> dict[str, Any]:
    """Return how a route refers to a filter of Envoy Gateway's."""
    reference = {"group": "gateway.envoyproxy.io", "kind": FILTER_KIND, "name": name}
    return {"type": "ExtensionRef", "extensionRef": reference}


def own_path() -> dict[str, Any]:
    """Return what makes `/NAME/v1/...` into `/v1/...`, and leaves `/v1/...` as it is."""
    replaced = {"pattern": r"^/[^/]+(/v1/.*)$", "substitution": r"\1"}
    return {"urlRewrite": {"path": {"type": "ReplaceRegexMatch", "replaceRegexMatch": replaced}}}


def listed(models: Sequence[str]) -> dict[str, Any]:
    """Return the list of models, in OpenAI's form."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "vllm-platform"} for name in models]
    return _answer(200, {"object": "list", "data": data})


def unknown() -> dict[str, Any]:
    """Return what a request is told that names no model there is."""
    return _answer(404, error_body(ERRORS[404]))


def callers_spec(settings: Gateway) -> dict[str, Any]:
    """Return who may ask here: every consumer. Which of the models it may call is for the model's own route to say."""
    names = sorted(consumer.name for consumer in settings.consumers)
    return {"targetRefs": [_TARGET], **security_policy(settings, claims=names)}


def reader_spec() -> dict[str, Any]:
    """Return what reads the model's name, for this route alone."""
    return {"targetRefs": [_TARGET], "lua": [{"type": "Inline", "inline": _SCRIPT.read_text("utf-8")}]}


def _answer(status: int, content: dict[str, Any]) -> dict[str, Any]:
    body = {"type": "Inline", "inline": json.dumps(content)}
    return {"directResponse": {"statusCode": status, "contentType": _JSON, "body": body}}
