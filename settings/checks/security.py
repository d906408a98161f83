"""What closes the platform: a mesh where it is asked for, callers that can come through, and all of it in prod."""

from collections.abc import Iterable

from settings.addon_choices import Asked
from settings.checks.naming import at, listed
from settings.draft import Draft
from settings.problems import Problem
from settings.scalars import FILL_SUFFIX, GATEWAY_ACCOUNT
from settings.security import AddressCaller, AmbientMesh, NamespaceCaller, NoMesh, OpenNetwork, Security


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the section."""
    security = draft.security
    if security is None:
        return []
    problems = [*_callers(security, draft), *_identities(draft)]
    if draft.asked is not None:
        problems += [*_mesh(security, draft.asked), *_through_the_mesh(security, draft.asked)]
        problems += _prometheus(security, draft.asked)
    if draft.environment == "prod":
        problems += [*_in_prod(security), *_meshed_in_prod(security, draft.asked)]
    return problems


def _mesh(security: Security, asked: Asked) -> Iterable[Problem]:
    """A mesh that nobody installs, and one that nothing uses."""
    istio = asked.choice("istio")
    if isinstance(security.mesh, AmbientMesh) and istio == "off":
        fix = "write `addons: {istio: existing}` if the cluster has it, or `mesh: {kind: off}`"
        yield Problem("security.mesh.kind", "ambient", "addons.istio is off, and Istio is the mesh", fix)
    if isinstance(security.mesh, NoMesh) and istio == "managed":
        reason = "Istio would be installed on every node, and no pod would use it"
        yield Problem(
            "security.mesh.kind", "off", reason, "write `addons: {istio: off}`, or leave `mesh` out"
        )


def _meshed_in_prod(security: Security, asked: Asked | None) -> Iterable[Problem]:
    reason = "in prod every pod that reaches a model must prove who it is, and without a mesh none can"
    if isinstance(security.mesh, NoMesh):
        yield Problem("security.mesh.kind", "off", reason, "leave `mesh` out, and have `addons.istio` on")
    elif security.mesh is None and asked is not None and asked.choice("istio") == "off":
        fix = "write `addons: {istio: managed}`, or existing where the cluster has it in ambient mode"
        yield Problem("addons.istio", "off", reason, fix)


def _in_prod(security: Security) -> Iterable[Problem]:
    if isinstance(security.network, OpenNetwork):
        reason = "in prod a pod that is broken into could call every other, and send what it finds anywhere"
        yield Problem("security.network.kind", "open", reason, "write `kind: default-deny`")
    if security.pods != "restricted":
        reason = "in prod no pod beside the models may have more rights than they have"
        yield Problem("security.pods", security.pods, reason, "write restricted, or leave it out")


def _callers(security: Security, draft: Draft) -> Iterable[Problem]:
    callers = security.rules.callers if security.rules else ()
    for index, caller in enumerate(callers):
        path = f"security.network.callers[{caller.name if isinstance(caller, NamespaceCaller) else index}]"
        if caller in callers[:index]:
            yield Problem(path, _named(caller), "is there twice", "write it once")
        if isinstance(caller, NamespaceCaller) and caller.name == draft.namespace:
            reason = "among the models only the gateway may call them"
            yield Problem(f"{path}.name", caller.name, reason, "let callers run in a namespace of their own")


def _prometheus(security: Security, asked: Asked) -> Iterable[Problem]:
    choice = asked.choice("prometheus")
    if security.prometheus is not None and choice != "existing":
        who = f"{security.prometheus.namespace}/{security.prometheus.account}"
        reason = f"addons.prometheus is {choice}, so there is none of somebody else's to be let in"
        fix = "remove it, or write `addons: {prometheus: existing}`"
        yield Problem("security.prometheus", who, reason, fix)


def _identities(draft: Draft) -> Iterable[Problem]:
    """Names that would make a model somebody else: policies know pods by their account, which is called as the model is."""
    others = {GATEWAY_ACCOUNT: "the gateway"} | {
        f"{model.name}{FILL_SUFFIX}": f"the Job that brings the weights of {model.name}"
        for model in draft.models
        if model.fill
    }
    for model in draft.models:
        if model.name in others:
            reason = f"is the service account of {others[model.name]}, and what that may do the model could"
            yield Problem(at(model, "name"), model.name, reason, f"call it {model.name}-model")


def _through_the_mesh(security: Security, asked: Asked) -> Iterable[Problem]:
    """Callers by address, of models that take nothing but the mesh's own connections."""
    if not security.meshed(istio=asked.choice("istio") != "off") or _gateway(asked) or not security.rules:
        return
    blocks = [caller.block for caller in security.rules.callers if isinstance(caller, AddressCaller)]
    if blocks:
        reason = (
            f"no gateway stands before the models, and in the mesh they refuse what {listed(blocks)} can send: "
            "plain connections"
        )
        fix = "switch envoy_gateway on, or name the namespace of callers that are in the mesh"
        yield Problem("security.network.callers", listed(blocks), reason, fix)


def _gateway(asked: Asked) -> bool:
    return any(asked.choice(addon) != "off" for addon in ("envoy_gateway", "kong"))


def _named(caller: NamespaceCaller | AddressCaller) -> str:
    return caller.name if isinstance(caller, NamespaceCaller) else caller.block
