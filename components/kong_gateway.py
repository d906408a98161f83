"""Kong as the gateway of the models: its class, its Gateway, who may come in, and the routes.

Owns: GatewayClass and Gateway, plugins, consumers with their credentials, one HTTPRoute a model. Does not own: Kong itself
(`addons.kong`), whose proxies run in its own namespace, and whose Service there is what is called.

A credential holds a public key, which is no secret; Kong's controller reads such only from Secrets.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import kong_plugins as plugins
from components.addons.kong import NAME as KONG
from components.addons.kong import PROXY_SERVICE
from components.api_gateway import API_VERSION, GATEWAY, LISTENER
from components.model_names import MODEL_LABEL
from components.model_route import backends, request_timeout
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.kong import KongConsumer, KongGateway
from settings.models import Model

OWN_API: Final = "configuration.konghq.com/v1"
CONTROLLER: Final = "konghq.com/kic-gateway-controller"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
CREDENTIAL_LABEL: Final = "konghq.com/credential"
PLUGINS: Final = "konghq.com/plugins"
PORT: Final = 80
"""Of the proxy's Service; the Gateway's listener must name the same."""
PART_OF: Final = {"app.kubernetes.io/part-of": "vllm-platform"}
DIGEST_LENGTH: Final = 8
SLUG_LENGTH: Final = 40


@dataclass(frozen=True, kw_only=True)
class KongRoutesArgs:
    """`models`: those that are deployed. services: what each model's route waits for, by model. after: Kong, and its kinds."""

    namespace: pulumi.Input[str]
    settings: KongGateway
    models: Sequence[Model]
    services: Mapping[str, Sequence[pulumi.Resource]]
    after: Sequence[pulumi.Resource] = ()


class KongRoutes(pulumi.ComponentResource):
    """Makes all of it. A route comes last: closed before it is open."""

    def __init__(self, name: str, args: KongRoutesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:gateway:KongRoutes", name, {}, opts)
        self._name = name
        self._args = args
        settings = args.settings
        gateway = self._gateway()
        configs = plugin_configs(settings, args.models)
        closed = [self._plugin(role, kind, config) for role, (kind, config) in configs.items()]
        rates = {consumer.name: self._rate(consumer) for consumer in settings.consumers}
        known = [self._consumer(consumer, rates[consumer.name]) for consumer in settings.consumers]
        for model in args.models:
            self._object(
                f"{model.name}-route",
                API_VERSION,
                "HTTPRoute",
                model.name,
                spec=route_spec(model),
                labels={MODEL_LABEL: model.name},
                annotations={PLUGINS: ",".join(plugin_name(role) for role in roles_of(settings, model))},
                after=[gateway, *closed, *known, *args.services.get(model.name, ())],
            )
        self.register_outputs({"models": [model.name for model in args.models]})

    def _gateway(self) -> pulumi.Resource:
        made = CustomResource(
            f"{self._name}-class",
            api_version=API_VERSION,
            kind="GatewayClass",
            metadata=ObjectMetaArgs(
                # The proxies are the chart's: no Gateway makes any.
                name=KONG,
                labels=PART_OF,
                annotations={"konghq.com/gatewayclass-unmanaged": "true"},
            ),
            spec={"controllerName": CONTROLLER},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._args.after]),
        )
        return self._object(
            "gateway",
            API_VERSION,
            "Gateway",
            GATEWAY,
            spec=gateway_spec(),
            annotations={"konghq.com/gateway-unmanaged": f"{ADDON_NAMESPACES['kong']}/{PROXY_SERVICE}"},
            after=[made],
        )

    def _plugin(
        self, role: str, kind: str, config: Mapping[str, Any], patches: Sequence[Mapping[str, Any]] = ()
    ) -> pulumi.Resource:
        more: dict[str, Any] = {"configPatches": [*patches]} if patches else {}
        return self._object(
            role,
            OWN_API,
            "KongPlugin",
            plugin_name(role),
            fields={"plugin": kind, "config": dict(config), **more},
        )

    def _rate(self, consumer: KongConsumer) -> pulumi.Resource:
        settings = self._args.settings
        limit = consumer.requests_per_minute or settings.limits.requests_per_minute
        return self._plugin(
            f"rate-{slug(consumer.name)}",
            "rate-limiting",
            plugins.rate(settings, limit),
            plugins.rate_patches(settings),
        )

    def _consumer(self, consumer: KongConsumer, rate: pulumi.Resource) -> pulumi.Resource:
        own = slug(consumer.name)
        credentials = {own: ("jwt", plugins.credential(self._args.settings.authentication, consumer.name))}
        # A dot is in no name of either, so that no two are one.
        credentials |= {f"{own}.{model}": ("acl", {"group": model}) for model in consumer.models}
        made = [
            Secret(
                f"{self._name}-{name}",
                metadata=ObjectMetaArgs(
                    name=plugin_name(name),
                    namespace=self._args.namespace,
                    labels={**PART_OF, CREDENTIAL_LABEL: kind},
                ),
                type="Opaque",
                string_data=data,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for name, (kind, data) in credentials.items()
        ]
        return self._object(
            f"{own}-consumer",
            OWN_API,
            "KongConsumer",
            plugin_name(own),
            annotations={CLASS_ANNOTATION: KONG, PLUGINS: plugin_name(f"rate-{own}")},
            fields={"username": consumer.name, "credentials": [plugin_name(name) for name in credentials]},
            after=[*made, rate],
        )

    def _object(
        self,
        role: str,
        api: str,
        kind: str,
        name: str,
        *,
        spec: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self._args.namespace,
            "labels": {**PART_OF, **(labels or {})},
            **({"annotations": dict(annotations)} if annotations else {}),
        }
        opts = pulumi.ResourceOptions(parent=self, depends_on=[*self._args.after, *after])
        if fields is not None:
            return KongObject(f"{self._name}-{role}", kind, metadata, fields, opts)
        return CustomResource(
            f"{self._name}-{role}",
            api_version=api,
            kind=kind,
            metadata=metadata,
            spec=dict(spec or {}),
            opts=opts,
        )


class KongObject(pulumi.CustomResource):
    """An object of one of Kong's kinds: their fields stand beside `metadata`, and the SDK's own type knows but `spec`."""

    def __init__(
        self,
        name: str,
        kind: str,
        metadata: Mapping[str, Any],
        fields: Mapping[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> None:
        properties = {"apiVersion": OWN_API, "kind": kind, "metadata": dict(metadata), **fields}
        super().__init__(f"kubernetes:{OWN_API}:{kind}", name, properties, opts)


def plugin_configs(settings: KongGateway, models: Sequence[Model]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the plugins of routes: by role the plugin's name and its configuration."""
    found = {
        "tokens": ("jwt", plugins.tokens(settings.authentication)),
        "size": ("request-size-limiting", plugins.sizes(settings)),
        "rewriting": ("request-transformer", plugins.rewriting()),
    }
    if settings.origins:
        found["pages"] = ("cors", plugins.pages(settings))
    return found | {f"callers-{model.name}": ("acl", plugins.callers(model.name)) for model in models}


def roles_of(settings: KongGateway, model: Model) -> list[str]:
    """Return the plugins of one model's route."""
    return [*plugin_configs(settings, ()), f"callers-{model.name}"]


def plugin_name(role: str) -> str:
    """Name what belongs to the gateway among the models' own objects."""
    return f"{GATEWAY}-{role}"


def slug(consumer: str) -> str:
    """Return a consumer's name as a name of Kubernetes', with a digest where that is another one."""
    plain = re.sub(r"[^a-z0-9]+", "-", consumer.lower()).strip("-")[:SLUG_LENGTH].strip("-")
    if plain == consumer:
        return plain
    return f"{plain}-{hashlib.sha256(consumer.encode()).hexdigest()[:DIGEST_LENGTH]}".lstrip("-")


def gateway_spec() -> dict[str, Any]:
    """Return the Gateway's spec."""
    return {
        "gatewayClassName": KONG,
        "listeners": [
            {
                "name": LISTENER,
                "port": PORT,
                "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Same"}},
            }
        ],
    }


def route_spec(model: Model) -> dict[str, Any]:
    """Return a model's route: what is below `/NAME/v1`, and nothing else of its engine."""
    expression = f"/{re.escape(model.name)}/v1(?<{plugins.REST}>/.*)$"
    return {
        "parentRefs": [{"name": GATEWAY}],
        "rules": [
            {
                "matches": [{"path": {"type": "RegularExpression", "value": expression}}],
                "backendRefs": backends(model),
                # Kong has no limit of a whole request, but of every silence of the engine in it.
                "timeouts": {"backendRequest": request_timeout(model)},
            }
        ],
    }
