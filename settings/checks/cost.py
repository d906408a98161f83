"""Whether what is said of costs is said of something that is there. The budget is compared when all else is right."""

from collections.abc import Iterable, Mapping

from settings.draft import Draft
from settings.problems import Problem
from settings.structure import suggest


def check(draft: Draft) -> list[Problem]:
    """Return what names nothing, or what can not be."""
    return [] if draft.cost is None else [*_pools(draft), *_models(draft), *_twice(draft)]


def _pools(draft: Draft) -> Iterable[Problem]:
    bounds = {pool.name: (pool.min, pool.max) for pool in draft.pools}
    said = [(one.name, one.nodes) for one in draft.cost.pools] if draft.cost else []
    return _within("pool", "nodes", said, bounds, all_known=not draft.broken_pools)


def _models(draft: Draft) -> Iterable[Problem]:
    bounds = {model.name: (model.min_replicas, model.max_replicas) for model in draft.models}
    said = [(one.name, one.replicas) for one in draft.cost.models] if draft.cost else []
    return _within("model", "replicas", said, bounds, all_known=not draft.broken_models)


def _within(
    what: str,
    field: str,
    said: Iterable[tuple[str, int | None]],
    bounds: Mapping[str, tuple[int, int]],
    *,
    all_known: bool,
) -> Iterable[Problem]:
    """Find names of nothing, and numbers that are out of bounds. all_known: no pool or model of the file is broken."""
    for name, number in said:
        path = f"cost.{what}s[{name}]"
        if name in bounds:
            low, high = bounds[name]
            if number is not None and not low <= number <= high:
                reason = f"the {what} has {low} to {high} {field}"
                yield Problem(f"{path}.{field}", number, reason, f"write a number from {low} to {high}")
        elif all_known:
            fix = f"{suggest(name, bounds)}name one of: {', '.join(bounds)}"
            yield Problem(f"{path}.name", name, f"there is no {what} of this name", fix)


def _twice(draft: Draft) -> Iterable[Problem]:
    cost = draft.cost
    lists = {"pools": cost.pools, "models": cost.models, "volumes": cost.volumes} if cost else {}
    for section, items in lists.items():
        names = [one.name for one in items]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem(f"cost.{section}[{name}].name", name, "stands there twice", "keep one of the two")
