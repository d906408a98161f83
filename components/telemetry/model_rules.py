"""Rules of a stack: what is recorded, the objectives and the replicas of each model, and the alerts.

Owns: PrometheusRules in the models' namespace, one of what is recorded, one a model, one of the platform. Does not own:
Prometheus, who is told of an alert, nor kube-prometheus-stack's own rules, which watch nodes, volumes and Prometheus itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.model_monitor import operator_object
from components.telemetry.model_alerts import model_alerts
from components.telemetry.objective_rules import objective_rules
from components.telemetry.platform_alerts import platform_alerts
from components.telemetry.recorded import recorded
from components.telemetry.replica_rules import replica_price, replica_rules
from components.telemetry.rules import RUNBOOKS, with_runbook
from settings import Settings

KIND: Final = "PrometheusRule"
RECORDED: Final = "recorded"
PLATFORM: Final = "platform"


@dataclass(frozen=True, kw_only=True)
class ModelRulesArgs:
    """`rules`: the groups of each object, by its name. after: the kind PrometheusRule."""

    namespace: pulumi.Input[str]
    rules: Mapping[str, Sequence[Mapping[str, Any]]]
    after: Sequence[pulumi.Resource] = ()


class ModelRules(pulumi.ComponentResource):
    """Makes them. Prometheus' operator has them read within a minute."""

    def __init__(self, name: str, args: ModelRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:observability:ModelRules", name, {}, opts)
        for what, groups in args.rules.items():
            spec = {"groups": [dict(group) for group in groups]}
            operator_object(
                self, name, what, kind=KIND, namespace=args.namespace, spec=spec, after=args.after
            )
        self.register_outputs({"rules": sorted(args.rules)})


def rules_of(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Return the groups of every PrometheusRule of a stack, by its name. No model is named like one that is not its own."""
    namespace = settings.namespace
    # Of Envoy: these are its names.
    gateway = settings.routes and settings.gateway.kind == "envoy"
    platform = platform_alerts(
        namespace,
        gpus=settings.asked.choice("dcgm_exporter") != "off",
        certificates=settings.asked.choice("cert_manager") != "off",
        limits=settings.request_limits if gateway else None,
    )
    rules = {RECORDED: [recorded()]} | ({PLATFORM: [platform]} if platform["rules"] else {})
    # Of a model that is stopped nothing is promised.
    for model in (each for each in settings.enabled_models if not each.stopped):
        hourly = replica_price(model, settings.pool_of(model), settings.cluster.region)
        rules[f"model-{model.name}"] = [
            replica_rules(namespace, model, hourly),
            *objective_rules(namespace, model, gateway=gateway),
            model_alerts(namespace, model, gateway=gateway),
        ]
    base = settings.observability.runbooks or RUNBOOKS
    return {
        name: [{**each, "rules": [with_runbook(rule, base) for rule in each["rules"]]} for each in groups]
        for name, groups in rules.items()
    }
