"""The way from the gateway to a model: one HTTPRoute, which deals the traffic out to its versions.

Owns: the route, and the answer in the place of a model that is stopped. Does not own: the Gateway, the versions and their
Services.

A model is called below a path of its own, `/NAME/v1/...`, and at `/v1/...` by the name in the body (`common_api`). Both are matches of
one rule, so that Envoy has one cluster for a model, by whose name its requests are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.envoy_gateway import OWN_API
from components.api_gateway import API_VERSION
from components.api_paths import MODEL_HEADER, named_matches, own_matches
from components.common_api import FILTER_KIND, OWN_PATH, filter_of
from components.model_names import MODEL_LABEL, SERVICE_PORT, predictor_name
from settings.models import Model
from settings.rollout import WHOLE, CanaryRollout
from settings.versions import canary_of

SLOWEST_TOKENS_PER_SECOND: Final = 10
"""Of one generation: an engine that is slower is too full to be of use."""
SHORTEST_TIMEOUT_SECONDS: Final = 600

STOPPED: Final[dict[str, Any]] = {"directResponse": {"statusCode": 503}}
"""Without words: the gateway gives it those of every 503 of its own."""


@dataclass(frozen=True, kw_only=True)
class ModelRouteArgs:
    """`gateway`: its name. after: all versions of the model, and what decides who may call it.

    The route waits for them: a weight reaches a version that is Ready, and none else.
    """

    namespace: pulumi.Input[str]
    gateway: pulumi.Input[str]
    model: Model
    after: Sequence[pulumi.Resource]


class ModelRoute(pulumi.ComponentResource):
    """Makes it."""

    def __init__(self, name: str, args: ModelRouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:gateway:ModelRoute", name, {}, opts)
        model = args.model
        metadata = ObjectMetaArgs(
            name=model.name,
            namespace=args.namespace,
            labels={"app.kubernetes.io/part-of": "vllm-platform", MODEL_LABEL: model.name},
        )
        after = [*args.after]
        if model.stopped:
            answer = CustomResource(
                f"{name}-stopped",
                api_version=OWN_API,
                kind=FILTER_KIND,
                metadata=metadata,
                spec=STOPPED,
                # Not data: the kind of the answer comes with the add-on that the others wait for.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
            )
            after.append(answer)
        CustomResource(
            f"{name}-http",
            api_version=API_VERSION,
            kind="HTTPRoute",
            metadata=metadata,
            spec=route_spec(model, gateway=args.gateway),
            # Not data: that a version is Ready is no value of the route. What the route no longer names is deleted
            # after it, for Pulumi deletes last.
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        self.register_outputs({"path": route_path(model)})


def route_path(model: Model) -> str:
    """Return where on the gateway the model's API is."""
    return f"/{model.name}/v1"


def route_spec(model: Model, *, gateway: pulumi.Input[str]) -> dict[str, Any]:
    """Return the route's spec. A stopped model has no Service, and a route to it would be answered as a fault of the gateway's."""
    matches = [*own_matches(model), *named_matches(model)]
    if model.stopped:
        return {
            "parentRefs": [{"name": gateway}],
            "rules": [{"matches": matches, "filters": [filter_of(model.name)]}],
        }
    return {
        "parentRefs": [{"name": gateway}],
        "rules": [
            {
                "matches": matches,
                "filters": [
                    filter_of(OWN_PATH),
                    {
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {
                            # The token was for the gateway; whoever has it can call every model of its bearer.
                            "remove": ["authorization"],
                            # For the log of requests: an adapter's name leads to its model too.
                            "set": [{"name": MODEL_HEADER, "value": model.name}],
                        },
                    },
                ],
                "backendRefs": backends(model),
                "timeouts": {"request": request_timeout(model)},
            }
        ],
    }


def backends(model: Model) -> list[dict[str, Any]]:
    """Return the versions' Services with their weights, which add up to 100. A version stays named at weight 0."""
    canary = canary_of(model)
    if canary is None or not isinstance(model.rollout, CanaryRollout):
        return [_backend(model, WHOLE)]
    weight = model.rollout.weight
    return [_backend(model, WHOLE - weight), _backend(canary, weight)]


def request_timeout(model: Model) -> str:
    """Return the time of a whole request and its answer, in minutes: longer than the longest generation.

    Never 0, which would also switch off the limit on how long a stream may be silent (Envoy Gateway 1.9.1,
    internal/xds/translator/route.go, idleTimeout). That limit is an hour, or this one where this one is longer.
    """
    canary = canary_of(model)
    tokens = max(version.engine.max_model_len for version in (model, canary or model))
    seconds = max(SHORTEST_TIMEOUT_SECONDS, tokens / SLOWEST_TOKENS_PER_SECOND)
    return f"{ceil(seconds / 60)}m"


def _backend(version: Model, weight: int) -> dict[str, Any]:
    return {"name": predictor_name(version.name), "port": SERVICE_PORT, "weight": weight}
