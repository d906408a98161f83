"""The content filter: that it does something, and that its guard is there and can answer."""

from collections.abc import Iterable, Iterator

from settings.checks.naming import at, listed, repeated
from settings.content_filter import Filter, RuleFilter, StackGuard
from settings.draft import Draft
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the stack's filter, and of each model's own."""
    return [
        problem
        for path, model, filters in _filters(draft)
        if isinstance(filters, RuleFilter)
        for problem in (*_rules(path, filters), *_guard(path, model, filters, draft))
    ]


def _filters(draft: Draft) -> Iterator[tuple[str, str | None, Filter]]:
    """Yield every filter with its path, and the model that it is of."""
    if draft.content_filter is not None:
        yield "content_filter", None, draft.content_filter
    for model in draft.models:
        if model.content_filter is not None:
            yield at(model, "content_filter"), model.name, model.content_filter


def _rules(path: str, filters: RuleFilter) -> Iterable[Problem]:
    yield from repeated([rule.name for rule in filters.rules], f"{path}.rules", "the rule")
    for rule in filters.rules:
        if not rule.patterns and not rule.words:
            yield Problem(
                f"{path}.rules[{rule.name}]",
                None,
                "has neither patterns nor words, so it refuses nothing",
                "add `patterns: [...]` or `words: [...]`, or remove the rule",
            )
    if not filters.rules and filters.guard is None and filters.max_characters is None:
        yield Problem(
            f"{path}.kind",
            "rules",
            "there is no rule, no guard and no limit, so it refuses nothing",
            "add one of `rules`, `guard`, `max_characters`, or write `{kind: off}`",
        )


def _guard(path: str, own: str | None, filters: RuleFilter, draft: Draft) -> Iterable[Problem]:
    guard = filters.guard
    if not isinstance(guard, StackGuard):
        return
    place = f"{path}.guard.model"
    known = [model for model in draft.models if model.enabled and model.task == "generate"]
    if guard.model == own:
        yield Problem(
            place,
            guard.model,
            "the guard would ask itself, for every request, without an end",
            "name another model, or write `content_filter: {kind: off}` for the guard",
        )
        return
    found = next((model for model in known if model.name == guard.model), None)
    if found is None:
        others = listed(model.name for model in known if model.name != own)
        yield Problem(
            place,
            guard.model,
            "no enabled model of this stack that generates has this name",
            f"use one of: {others}; or `kind: server` for a guard elsewhere",
        )
    elif isinstance(found.content_filter, RuleFilter) and found.content_filter.guard is not None:
        yield Problem(
            place,
            guard.model,
            "the guard has a guard of its own, so a request would wait for both",
            f"write `content_filter: {{kind: off}}` for {guard.model}",
        )
