"""Every committed stack, with its own settings, becomes Ready on its simulated pools."""

import pytest

from rehearsal.cluster import lifecycle
from rehearsal.outcome import observe
from rehearsal.rehearse import plan
from tests.rehearsal.conftest import Checkout

pytestmark = pytest.mark.rehearsal


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_a_stack_becomes_ready_and_says_what_was_substituted(checkout: Checkout, stack: str) -> None:
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
