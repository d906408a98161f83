"""Every committed stack, with its own settings, becomes Ready on its simulated pools, goes without a trace and comes again."""

import pytest

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api
from rehearsal.outcome import observe
from rehearsal.rehearse import plan
from tests.rehearsal.conftest import Checkout

pytestmark = pytest.mark.rehearsal


def _becomes_ready(checkout: Checkout, stack: str) -> None:
    printed = checkout.vp("rehearse", stack)
    chosen = plan(stack, checkout.root)
    assert "embedded API server" in printed
    for substitution in chosen.substitutions:
        assert substitution.what in printed
    with lifecycle.connect(checkout.layout(stack)) as api:
        outcomes = observe(api, chosen.settings)
    assert {o.name for o in outcomes} == {m.name for m in chosen.settings.enabled_models}
    assert [o.problems for o in outcomes] == [()] * len(outcomes)
    for outcome in outcomes:
        assert outcome.replicas >= outcome.wanted
        assert outcome.url in printed


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_stack_becomes_ready_and_says_what_was_substituted(checkout: Checkout, stack: str) -> None:
    _becomes_ready(checkout, stack)


def test_dev_becomes_ready_is_destroyed_without_a_trace_and_comes_again(checkout: Checkout) -> None:
    _becomes_ready(checkout, "dev")
    namespace = checkout.settings("dev").namespace
    with lifecycle.connect(checkout.layout("dev")) as api:
        assert api.get("v1", "Namespace", namespace) is not None
        checkout.vp("rehearse", "dev", "--destroy")
        assert api.get("v1", "Namespace", namespace) is None
        assert _leftovers(api) == []
    checkout.vp("rehearse", "dev")


def _leftovers(api: Api) -> list[str]:
    found = [
        *api.list("serving.kserve.io/v1beta1", "InferenceService"),
        *api.list("apps/v1", "Deployment"),
        *api.list("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ]
    return [f"{o.get('kind', 'object')} {o['metadata']['name']}" for o in found]
