"""Add-ons: each with what it needs, none with a rival, and all that the rest of the stack asks for."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError

from settings.addon_catalogue import CATALOGUE, Unit
from settings.addon_choices import Asked
from settings.addon_order import install_order
from settings.addons import Choice
from settings.checks.naming import at, listed
from settings.cluster import EksCluster, RehearsalCluster
from settings.draft import Draft
from settings.edge import CloudFrontEdge
from settings.keda import DEMAND_AT_ZERO, KedaScaling
from settings.kong import KongGateway
from settings.observability import SampledTracing
from settings.pools import GpuPool, KarpenterProvisioner
from settings.problems import Problem
from settings.registry import EcrRegistry
from settings.scaling import HpaScaling

# What makes and holds something on AWS itself, and so needs a cluster that this program makes there.
ONLY_ON_EKS = {
    "karpenter": "it makes nodes of an EKS cluster, with roles and a queue that only such a cluster has",
    "load_balancer_controller": "it fills the target group of the edge, which only an EKS cluster of this program has",
    "vault": "it is unsealed by a key of AWS KMS that the program makes with the cluster",
}


def check(draft: Draft, catalogue: tuple[Unit, ...] = CATALOGUE) -> list[Problem]:
    """Return the problems of the add-ons. `catalogue` is another one in tests."""
    if draft.asked is None:
        return []
    choices = _Choices(replace(draft.asked, catalogue=catalogue))
    problems = [
        *_places(choices),
        *_wanted(choices, draft),
        *_scalers(choices, draft),
        *_prometheus_address(choices, draft),
        *_tracing(choices, draft),
        *_wanted_on_eks(choices, draft),
        *_needs(choices),
    ]
    # A need that is off is one problem; that the rest has no order would be another way to say it.
    return [*problems, *_rivals(choices), *([] if problems else _circles(choices))]


@dataclass(frozen=True)
class _Choices:
    """The stack's words, and how they are said."""

    asked: Asked

    def __getitem__(self, addon: str) -> Choice:
        return self.asked.choice(addon)

    def problem(self, addon: str, reason: str, fix: str) -> Problem:
        """Make a problem of an add-on; one that the stack does not mention shows what that means."""
        word = self[addon]
        if getattr(self.asked.addons, addon, None) is None:
            reason = f"left out, it is {word}, and {reason}"
        return Problem(f"addons.{addon}", word, reason, fix)


def _places(choices: _Choices) -> Iterable[Problem]:
    """What is said of a kind of cluster on which it can not be."""
    on_eks = isinstance(choices.asked.cluster, EksCluster)
    for addon in type(choices.asked.addons).model_fields:
        word = choices[addon]
        if word == "existing" and on_eks:
            reason = "on a cluster that the program creates nothing can be there before"
            yield choices.problem(addon, reason, f"write {addon}: managed, or {addon}: off")
        elif word == "managed" and not on_eks and addon in ONLY_ON_EKS:
            yield choices.problem(
                addon, ONLY_ON_EKS[addon], f"write {addon}: existing if the cluster has one, or {addon}: off"
            )


def _wanted(choices: _Choices, draft: Draft) -> Iterable[Problem]:
    """What other sections ask for, and that is off."""
    if choices["harbor"] == "managed" and isinstance(draft.registry, EcrRegistry):
        reason = "the name under which it is reached is the host of a registry of kind external"
        yield choices.problem(
            "harbor", reason, "write `registry: {kind: external, host: ...}`, or harbor: off"
        )
    models = [model for model in draft.models if model.enabled]
    if models and choices["kserve"] == "off":
        reason = f"nothing would serve {listed(model.name for model in models)}"
        yield choices.problem("kserve", reason, f"write kserve: {_on(choices)}, or switch the models off")
    if (
        draft.database is not None
        and draft.database.kind == "postgres"
        and choices["cloudnative_pg"] == "off"
    ):
        reason = "nothing would run the database"
        fix = f"write cloudnative_pg: {_on(choices)}, or `database: {{kind: off}}`"
        yield choices.problem("cloudnative_pg", reason, fix)
    if models and choices["envoy_gateway"] == "existing" and choices["gateway_api"] == "off":
        reason = "routes to the models, for the envoy_gateway that exists, are of its kinds"
        yield choices.problem("gateway_api", reason, "write gateway_api: existing, or envoy_gateway: off")


def _scalers(choices: _Choices, draft: Draft) -> Iterable[Problem]:
    """What scalers read their numbers from, and that is off."""
    rehearsed = isinstance(draft.cluster, RehearsalCluster)
    for model in choices.asked.models:
        scaling = model.autoscaling
        needs: dict[str, str] = {}
        if isinstance(scaling, HpaScaling) and not rehearsed:
            needs["prometheus_adapter"] = "its autoscaler reads the GPUs' load from Prometheus Adapter"
        if isinstance(scaling, KedaScaling):
            needs["keda"] = "nothing would act on its ScaledObject"
            needs["prometheus"] = "its signals are read from Prometheus"
            if "gpu-utilization" in scaling.signals and not rehearsed:
                needs["dcgm_exporter"] = "nothing would measure the GPUs' load"
            if DEMAND_AT_ZERO in scaling.signals:
                needs["envoy_gateway"] = f"the signal {DEMAND_AT_ZERO} is a metric of Envoy's"
        for addon, reason in needs.items():
            if choices[addon] == "off":
                yield Problem(
                    at(model, "autoscaling", "kind"),
                    scaling.kind,
                    f"{reason}, and addons.{addon} is off",
                    f"write addons.{addon}: {_on(choices)}, or scale the model in another way",
                )


def _prometheus_address(choices: _Choices, draft: Draft) -> Iterable[Problem]:
    """Where a Prometheus answers that is not the program's own, for those that ask it."""
    observability = draft.observability
    if observability is None:
        return
    address = observability.prometheus_url
    asked_by = [at(m, "autoscaling") for m in choices.asked.models if isinstance(m.autoscaling, KedaScaling)]
    asked_by += ["addons.prometheus_adapter"] if choices["prometheus_adapter"] == "managed" else []
    if choices["prometheus"] == "existing" and address is None and asked_by:
        yield Problem(
            "observability.prometheus_url",
            None,
            f"addons.prometheus is existing, and {listed(asked_by)} must know where it answers",
            "write its address inside the cluster, e.g. http://prometheus.monitoring.svc.cluster.local:9090",
        )
    elif choices["prometheus"] != "existing" and address is not None:
        yield Problem(
            "observability.prometheus_url",
            address,
            f"addons.prometheus is {choices['prometheus']}, so nobody would ask there",
            "remove it, or write addons.prometheus: existing",
        )


def _tracing(choices: _Choices, draft: Draft) -> Iterable[Problem]:
    """Who writes traces must have somebody to send them to, at an address that the program knows."""
    if draft.observability is None or not isinstance(draft.observability.tracing, SampledTracing):
        return
    # There no collector runs, as no engine does.
    if isinstance(draft.cluster, RehearsalCluster):
        return
    path, fix = "observability.tracing.kind", "or write `tracing: {kind: off}`"
    if choices["otel_collector"] != "managed":
        reason = f"addons.otel_collector is {choices['otel_collector']}, and traces go to the program's own collector"
        yield Problem(path, "sampled", reason, f"write addons.otel_collector: managed, {fix}")
    if choices["tempo"] == "off":
        reason = "addons.tempo is off, and nobody else would keep a trace"
        yield Problem(path, "sampled", reason, f"write addons.tempo: {_on(choices)}, {fix}")
    if isinstance(draft.gateway, KongGateway):
        reason = "gateway.kind is kong, and a trace begins in Envoy's proxies: Kong's plugin for it is not set up here"
        yield Problem(path, "sampled", reason, f"write `gateway: {{kind: envoy}}`, {fix}")


def _wanted_on_eks(choices: _Choices, draft: Draft) -> Iterable[Problem]:
    """What nodes and the edge ask for: nobody else can have brought it."""
    if not isinstance(draft.cluster, EksCluster):
        return
    edge = isinstance(draft.edge, CloudFrontEdge)
    elastic = [pool.name for pool in draft.pools if isinstance(pool.provisioner, KarpenterProvisioner)]
    if elastic and choices["karpenter"] == "off":
        reason = f"nothing would make the nodes of the elastic pools {listed(elastic)}"
        yield choices.problem("karpenter", reason, "write karpenter: managed, or make the pools fixed")
    if edge and choices["load_balancer_controller"] == "off":
        reason = "nothing would register the gateway's pods at the edge's load balancer"
        fix = "write load_balancer_controller: managed, or `edge: {kind: off}`"
        yield choices.problem("load_balancer_controller", reason, fix)
    if edge and choices["envoy_gateway"] == choices["kong"] == "off":
        reason = "the edge leads to a gateway, and both are off"
        fix = "write envoy_gateway: managed or kong: managed, or `edge: {kind: off}`"
        yield choices.problem("envoy_gateway", reason, fix)
    plain = [p.name for p in draft.pools if isinstance(p, GpuPool) and p.node_image == "al2023"]
    if plain and choices["nvidia_device_plugin"] == "off":
        reason = f"nothing would offer the GPUs of the pools {listed(plain)}: their node image has no plugin"
        fix = "write nvidia_device_plugin: managed, or use the node image bottlerocket"
        yield choices.problem("nvidia_device_plugin", reason, fix)


def _on(choices: _Choices) -> str:
    """Say which words switch an add-on on."""
    return "managed" if isinstance(choices.asked.cluster, EksCluster) else "managed or existing"


def _needs(choices: _Choices) -> Iterable[Problem]:
    """Needs of what is managed, that are off."""
    catalogue = {unit.name: unit for unit in choices.asked.catalogue}
    said: set[tuple[str, str]] = set()
    for unit in choices.asked.units("managed"):
        for need, purpose in {**unit.needs, **unit.uses}.items():
            other = catalogue[need].addon
            if choices[other] != "off" or (unit.addon, other) in said:
                continue
            said.add((unit.addon, other))
            yield choices.problem(
                unit.addon,
                f"needs {other} for {purpose}, and that is off",
                f"write {other}: {_on(choices)}, or {unit.addon}: off",
            )


def _rivals(choices: _Choices) -> Iterable[Problem]:
    """Things that only one of a cluster may have, and that two would."""
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for unit in choices.asked.units("managed", "existing"):
        for thing in unit.owns:
            if unit.addon not in owners[thing]:
                owners[thing].append(unit.addon)
    for thing, addons in owners.items():
        for second in addons[1:]:
            reason = f"{addons[0]} owns {thing} already, and a cluster has it once"
            yield choices.problem(second, reason, f"write {second}: off, or {addons[0]}: off")


def _circles(choices: _Choices) -> Iterable[Problem]:
    """Needs that lead back to where they began, so that nothing could be the first."""
    units: Sequence[Unit] = choices.asked.units("managed")
    try:
        install_order(units)
    except CycleError as error:
        names: list[str] = error.args[1]
        addon = next(unit.addon for unit in units if unit.name == names[0])
        circle = " needs ".join(reversed(names))
        fix = "switch one of them off, or let one be existing"
        yield choices.problem(addon, f"its needs lead back to itself: {circle}", fix)
