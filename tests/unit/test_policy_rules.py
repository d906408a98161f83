"""Every rule of the policy pack: silent where it is kept, and where nobody can know yet; heard where it is broken, with what to do."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from policies.rules.catalogue import RULES, rule_named
from policies.rules.model import Config, Found, Resource, ResourceRule
from policies.rules.values import UNKNOWN
from tests.policies.cases import GONE, Case, Path, put, said
from tests.policies.catalogue import CASES
from tests.policies.kubernetes import GPU, TAINT
from tests.policies.parts import PARTED

pytestmark = pytest.mark.unit

EACH = pytest.mark.parametrize(
    "case", CASES, ids=[f"{each.rule}-{each.at[-1]}-{index}" for index, each in enumerate(CASES)]
)
OTHER_FORMS: list[Any] = [GONE, None, "", 7, [], {}, [[]], {"a": None}]
# One for each rule and stack that it is shown with.
ONCE = pytest.mark.parametrize(
    "case",
    {(each.rule, id(each.keeps)): each for each in CASES}.values(),
    ids=lambda each: f"{each.rule}-{each.at[-1]}",
)


def test_every_rule_has_cases() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in RULES}


def test_rules_have_names_of_their_own_and_say_what_to_do() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.says and rule.fix and not rule.fix.endswith(".") for rule in RULES)


@EACH
def test_what_is_kept_is_not_spoken_of(case: Case) -> None:
    assert said(case.rule, case.stack(), case.config) == []


@EACH
def test_what_is_broken_is_said_with_what_to_do(case: Case) -> None:
    broken = list(case.broken())
    assert broken
    for resources in broken:
        found = said(case.rule, resources, case.config)
        assert found
        assert any(case.says in each.message for each in found), found
        assert all(each.message.endswith(rule_named(case.rule).fix) for each in found)


@EACH
def test_a_property_that_is_not_there_is_broken_or_harmless(case: Case) -> None:
    assert bool(said(case.rule, case.without(), case.config)) == case.absent


@EACH
def test_nobody_speaks_of_what_is_not_known_yet(case: Case) -> None:
    assert said(case.rule, case.unknown(), case.config) == []


@EACH
def test_a_resource_can_be_exempt(case: Case) -> None:
    resources = next(case.broken())
    found = said(case.rule, resources, case.config)
    exempt = {(case.rule, each.about): "a reason for this test" for each in found if each.about}
    config = Config(
        registries=case.config.registries,
        licences=case.config.licences,
        pools=case.config.pools,
        addons=case.config.addons,
        exempt=exempt,
    )
    assert said(case.rule, resources, config) == [each for each in found if not each.about]


def _paths(value: object, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from _paths(item, (*path, index))


def _changed(case: Case, instead: object) -> Iterator[tuple[Path, list[Found]]]:
    """Put something in the place of each property in turn, and yield what the rule then says."""
    inputs: dict[str, Any] = {}
    resources = case.stack(inputs.update)
    for path in list(_paths(inputs)):
        if len(path) > 1:
            holder: Any = inputs
            for step in path[:-1]:
                holder = holder[step]
            kept = holder[path[-1]]
            put(inputs, path, instead)
            yield path, said(case.rule, resources, case.config)
            if instead is GONE and isinstance(holder, list):
                cast("list[object]", holder).insert(cast("int", path[-1]), kept)
            else:
                holder[path[-1]] = kept


@ONCE
def test_nothing_that_is_not_known_breaks_a_rule(case: Case) -> None:
    """Each property in turn, at whatever depth."""
    assert [path for path, found in _changed(case, UNKNOWN) if found] == []


@ONCE
def test_no_form_of_a_resource_is_too_much_for_a_rule(case: Case) -> None:
    """A policy that fails stops every preview, with a traceback."""
    for instead in OTHER_FORMS:
        assert all(isinstance(found, list) for _, found in _changed(case, instead))


ALL: list[tuple[str, str, dict[str, Any]]] = [
    (name, type_, props) for case in CASES for name, (type_, props) in case.keeps.items()
]


def test_every_rule_takes_every_resource() -> None:
    """Also those that it is not about, and those of which nothing is known."""
    for rule in RULES:
        for name, type_, props in ALL:
            for inputs in (props, {}, dict.fromkeys(props, UNKNOWN)):
                resource = Resource(urn="urn", type=type_, name=name, props=inputs)
                assert isinstance(said(rule.name, [resource], Config()), list)


def test_a_remedy_puts_every_part_of_a_model_right() -> None:
    (model,) = next(case for case in CASES if case.keeps is PARTED).stack()
    spec: Any = model.props["spec"]
    pods = [spec["predictor"], spec["predictor"]["workerSpec"], spec["transformer"], spec["explainer"]]
    for pod in pods:
        pod["tolerations"] = []
        pod["containers"][0]["resources"]["requests"] = {GPU: "4"}
    for name in ("gpu-pods-tolerate-the-taint", "gpu-request-is-the-limit"):
        rule = rule_named(name)
        assert isinstance(rule, ResourceRule)
        assert rule.remedy
        assert len(list(rule.look(model, Config()))) == len(pods)
        rule.remedy(model.props)
        assert list(rule.look(model, Config())) == []
    assert [pod["tolerations"] for pod in pods] == [[TAINT]] * len(pods)


REMEDIES = [rule for rule in RULES if isinstance(rule, ResourceRule) and rule.remedy]


@pytest.mark.parametrize("rule", REMEDIES, ids=lambda rule: rule.name)
def test_a_remedy_puts_right_what_the_rule_speaks_of(rule: ResourceRule) -> None:
    mended = 0
    for case in CASES:
        if case.rule != rule.name:
            continue
        for resources in case.broken():
            for resource in resources:
                inputs: Any = resource.props
                if list(rule.look(resource, case.config)) and rule.remedy:
                    try:
                        rule.remedy(inputs)
                    except (KeyError, TypeError, AttributeError):
                        continue  # it leaves what it does not understand
                    mended += list(rule.look(resource, case.config)) == []
    assert mended
