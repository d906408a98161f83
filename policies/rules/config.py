"""What a stack's configuration says to the pack: its section `policies`, and what it says of itself.

Read as Pulumi hands it over, a text by key. Everything that is wrong is said at once.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, cast

from .model import ENVIRONMENTS, LEVELS, Config, ResourceRule, StackRule
from .values import at, elements, entries, text

NAMESPACE: Final = "vllm-platform"
SECTION: Final = "policies"
KEYS: Final = ("levels", "exempt", "registries", "licences")
LEVEL_KEYS: Final = ("rule", "level")
EXEMPT_KEYS: Final = ("rule", "resource", "reason")
REASON_LENGTH: Final = 10
Rules = Mapping[str, ResourceRule | StackRule]


class ConfigError(Exception):
    """What is wrong with the section, one problem a line. The text is for people."""


def config_of(values: Mapping[str, str], rules: Sequence[ResourceRule | StackRule]) -> Config:
    """Return what a stack says. `values`: its configuration, by key with namespace. Raises ConfigError."""
    sections = {key: _section(values, key) for key in ("cluster", "edge", "addons", "pools", SECTION)}
    policies = sections[SECTION]
    problems = list(_problems(policies, {rule.name: rule for rule in rules}))
    if problems:
        message = "\n".join([f"{NAMESPACE}:{SECTION} can not be used:", *(f"  {each}" for each in problems)])
        raise ConfigError(message)
    environment = values.get(f"{NAMESPACE}:environment", "")
    return Config(
        # Whoever says nothing is held to everything.
        environment=environment if environment in ENVIRONMENTS else "prod",
        cluster=text(at(sections["cluster"], "kind")),
        public=text(at(sections["edge"], "kind")) not in {"", "off"},
        addons={key: text(value) for key, value in entries(sections["addons"]).items()},
        pools=frozenset(text(at(each, "name")) for each in elements(sections["pools"])),
        levels={each["rule"]: each["level"] for each in elements(policies, "levels")},
        exempt={(each["rule"], each["resource"]): each["reason"] for each in elements(policies, "exempt")},
        registries=tuple(elements(policies, "registries")),
        licences=tuple(elements(policies, "licences")),
    )


def _section(values: Mapping[str, str], key: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return a section. One that is no JSON is a text, and refused by the program where it must be more."""
    written = values.get(f"{NAMESPACE}:{key}")
    try:
        return None if written is None else json.loads(written)
    except ValueError:
        return written


def _problems(section: Any, rules: Rules) -> list[str]:  # noqa: ANN401 - as above
    if section is None:
        return []
    if not isinstance(section, dict):
        return [f"it is {_shown(cast('object', section))}: write a mapping with some of {', '.join(KEYS)}"]
    section = cast("dict[str, Any]", section)
    found = [
        f"{key}: unknown key: {_nearest(key, KEYS)}remove it; the keys are {', '.join(KEYS)}"
        for key in section
        if key not in KEYS
    ]
    found += _level_problems(at(section, "levels"), rules)
    found += _exemption_problems(at(section, "exempt"), rules)
    for key in ("registries", "licences"):
        value = at(section, key)
        if value is not None and not (
            isinstance(value, list) and all(map(_is_word, cast("list[Any]", value)))
        ):
            found.append(f"{key}: {_shown(cast('object', value))} is no list of texts")
    return found


def _level_problems(levels: Any, rules: Rules) -> list[str]:  # noqa: ANN401 - as above
    found: list[str] = []
    for place, (name, level) in _rows("levels", levels, LEVEL_KEYS, found):
        rule = rules.get(text(name))
        if rule is None:
            found.append(f"{place}.rule: {_unknown_rule(name, rules)}")
        elif level not in LEVELS:
            found.append(f"{place}.level: {_shown(level)} is no level: write one of {', '.join(LEVELS)}")
        elif level == "remediate" and not (isinstance(rule, ResourceRule) and rule.remedy):
            found.append(f"{place}.level: {name} puts nothing right by itself: write mandatory or advisory")
    return found


def _exemption_problems(exempt: Any, rules: Rules) -> list[str]:  # noqa: ANN401 - as above
    found: list[str] = []
    for place, (name, resource, reason) in _rows("exempt", exempt, EXEMPT_KEYS, found):
        if text(name) not in rules:
            found.append(f"{place}.rule: {_unknown_rule(name, rules)}")
        if not _is_word(resource):
            found.append(f"{place}.resource: {_shown(resource)} is no name of a resource")
        if not _is_word(reason) or len(reason.strip()) < REASON_LENGTH:
            found.append(f"{place}.reason: {_shown(reason)} does not say why: write a sentence")
    return found


def _rows(
    key: str,
    value: Any,  # noqa: ANN401 - as above
    columns: Sequence[str],
    problems: list[str],
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the place and the values of each row of a list; add to the problems what is none."""
    if value is None:
        return
    if not isinstance(value, list):
        problems.append(f"{key}: {_shown(cast('object', value))} is no list")
        return
    for index, row in enumerate(cast("list[Any]", value)):
        if not isinstance(row, dict) or set(cast("dict[str, Any]", row)) != set(columns):
            keys = ", ".join(f"{column}: ..." for column in columns)
            problems.append(f"{key}[{index}]: {_shown(cast('object', row))}: write {{{keys}}}")
        else:
            yield f"{key}[{index}]", [cast("dict[str, Any]", row)[column] for column in columns]


def _unknown_rule(name: object, rules: Rules) -> str:
    return f"there is no rule {_shown(name)}: {_nearest(str(name), list(rules))}docs/policies.md lists all"


def _nearest(word: str, words: Sequence[str]) -> str:
    near = get_close_matches(word, words, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _shown(value: object) -> str:
    written = json.dumps(value, default=str, ensure_ascii=False)
    return written if len(written) <= 60 else f"{written[:57]}..."  # noqa: PLR2004 - a line's worth
