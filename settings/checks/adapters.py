"""LoRA adapters: which models can have some, and that each name leads to one of them."""

from collections import Counter
from collections.abc import Iterable

from settings.checks.naming import at, of_versions
from settings.draft import Draft
from settings.facts import models
from settings.models import Model
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return the problems of adapters."""
    return of_versions(draft.models, lambda model: [*_possible(model), *_apart(model, draft)])


def _names(model: Model) -> list[str]:
    return [adapter.name for adapter in model.engine.adapters]


def _possible(model: Model) -> Iterable[Problem]:
    if not model.engine.adapters:
        return
    path, facts = at(model, "engine", "adapters"), models().get(model.model)
    if model.task == "embed":
        yield Problem(
            path,
            _names(model),
            "vectors of two adapters can not be compared, and an index holds those of one model",
            "merge the adapter into the weights, and serve them as a model of their own",
        )
    if facts is not None and facts.experts:
        yield Problem(
            path,
            _names(model),
            f"how much of a GPU an adapter takes in {facts.experts} experts is not known here",
            "remove `adapters`, or serve a model without experts",
        )


def _apart(model: Model, draft: Draft) -> Iterable[Problem]:
    """Clients name an adapter where they name a model, so all names of a stack are of one kind.

    Both versions of a model have its adapters: a name leads to the model, and its route to one of them.
    """
    served = {other.name for other in draft.models}
    taken = {
        name: other.name
        for other in draft.models
        if other.name != model.served_name
        for name in _names(other)
    }
    for name, count in Counter(_names(model)).items():
        path = f"{at(model, 'engine', 'adapters')}[{name}].name"
        if name in served:
            yield Problem(path, name, f"{name} is the name of a model", "give the adapter another name")
        elif count > 1:
            reason = f"the adapter {name!r} is there {count} times"
            yield Problem(path, name, reason, "give each a name of its own")
        elif name in taken:
            yield Problem(
                path, name, f"{taken[name]} has an adapter of this name", "give each a name of its own"
            )
