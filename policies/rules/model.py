"""What a rule is, what it looks at, and what it may say."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from .values import UNKNOWN, agree, at, elements, entries, hidden, text

Level = Literal["mandatory", "advisory", "remediate", "disabled"]
LEVELS: Final[tuple[Level, ...]] = ("mandatory", "advisory", "remediate", "disabled")
ENVIRONMENTS: Final = ("dev", "staging", "prod")
STACK_TYPE: Final = "pulumi:pulumi:Stack"
_KUBERNETES: Final = "kubernetes:"
_PATCH: Final = "Patch"
_CHARTS: Final = frozenset({"Release", "Chart"})


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource: what the program asked for or, for rules about stacks after `up`, what became of it."""

    urn: str
    type: str
    name: str
    props: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Kind of a Kubernetes object; empty for anything else, a chart and a patch of somebody else's object too."""
        if not self.type.startswith(_KUBERNETES):
            return ""
        last = self.type.rpartition(":")[2]
        return "" if last.endswith(_PATCH) or last in _CHARTS else last

    @property
    def is_chart(self) -> bool:
        """Whether it is a chart that Helm installs or renders."""
        return self.type.startswith("kubernetes:helm.sh/") and self.type.rpartition(":")[2] in _CHARTS

    @property
    def label(self) -> str:
        """What people call it: a Kubernetes object by its own name, all else by that in the program."""
        return text(at(self.props, "metadata", "name")) or self.name

    @property
    def called(self) -> Any:  # noqa: ANN401 - a name that may not be known yet
        """Name of a Kubernetes object."""
        return at(self.props, "metadata", "name")

    @property
    def namespace(self) -> Any:  # noqa: ANN401 - as above
        """Namespace of a Kubernetes object. One that names none is in that of Kubernetes' own choice."""
        named = at(self.props, "metadata", "namespace")
        return "default" if named is None else named

    @property
    def labels(self) -> Any:  # noqa: ANN401 - a mapping, of which nothing may be known yet
        """Labels of a Kubernetes object."""
        return at(self.props, "metadata", "labels")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a stack says about itself, and about the rules.

    addons: what the stack says of add-ons: managed, existing or off. exempt: reasons by rule and by name of a resource.
    registries: hosts, or hosts with the beginning of a path, that images may come from; empty leaves it open.
    licences: of weights; empty is the pack's own list. pools: names of the stack's pools; empty is not known.
    """

    environment: str = "prod"
    cluster: str = "eks"
    public: bool = False
    addons: Mapping[str, str] = field(default_factory=dict[str, str])
    levels: Mapping[str, Level] = field(default_factory=dict[str, Level])
    exempt: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    registries: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    pools: frozenset[str] = frozenset()

    def has(self, addon: str) -> bool:
        """Tell whether the stack says that an add-on is there, by whomever."""
        return self.addons.get(addon) in {"managed", "existing"}


class Stack:
    """All resources of a stack, by what they are."""

    def __init__(self, resources: Iterable[Resource], outputs: Mapping[str, Any] | None = None) -> None:
        """`outputs`: of the stack; None takes them from the stack's own resource, as Pulumi hands them over."""
        self.resources = tuple(resources)
        self._outputs = outputs

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """What the stack exports."""
        own = [each.props for each in self.resources if each.type == STACK_TYPE]
        return self._outputs if self._outputs is not None else (own[0] if own else {})

    @cached_property
    def _kinds(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for each in self.resources:
            found.setdefault(each.kind, []).append(each)
        return found

    def of(self, *kinds: str) -> list[Resource]:
        """Return the Kubernetes objects of some kinds."""
        return [each for kind in kinds for each in self._kinds.get(kind, [])]

    def of_type(self, type_: str) -> list[Resource]:
        """Return the resources of a type."""
        return [each for each in self.resources if each.type == type_]

    def charts(self, name: str) -> list[Resource]:
        """Return the charts of a name, wherever they come from."""
        return [
            each
            for each in self.resources
            if each.is_chart and text(at(each.props, "chart")).rstrip("/").rpartition("/")[2] == name
        ]

    def may_have(self, chart: str) -> bool:
        """Tell whether a chart of a name is there, or one whose name is not known yet."""
        nameless = any(each.is_chart and at(each.props, "chart") is UNKNOWN for each in self.resources)
        return nameless or bool(self.charts(chart))

    @property
    def models(self) -> list[Resource]:
        """Return the models that are served."""
        return self.of("InferenceService")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is wrong. urn: of which resource, empty for the stack as a whole; about: its name, by which it can be exempt."""

    message: str
    urn: str = ""
    about: str = ""


ResourceCheck = Callable[[Resource, Config], Iterator[str]]
StackCheck = Callable[[Stack, Config], Iterator[Found]]
Remedy = Callable[[Any], None]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that must hold.

    says: what, as a sentence. fix: what to do about it, added to each message. levels: where it is not mandatory.
    options: the pack's own configuration of it, as a JSON schema by key.
    """

    name: str
    area: str
    says: str
    fix: str
    levels: Mapping[str, Level]
    options: Mapping[str, Mapping[str, Any]]

    def level(self, config: Config) -> Level:
        """Return what happens where it does not hold: the stack's word, else what is usual in its environment."""
        return config.levels.get(self.name) or self.levels.get(config.environment, "mandatory")

    def message(self, what: str) -> str:
        """Return the whole message: what is wrong, and what to do."""
        return f"{what}: {self.fix}"


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """About one resource by itself: stops a preview. types: what it can be about. remedy: puts a copy of the inputs right."""

    check: ResourceCheck
    types: Callable[[Resource], bool]
    remedy: Remedy | None = None

    def look(self, resource: Resource, config: Config) -> Iterator[str]:
        """Yield the messages about a resource."""
        if self.types(resource) and (self.name, resource.label) not in config.exempt:
            yield from (self.message(what) for what in self.check(resource, config))


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """About how resources go together."""

    check: StackCheck

    def look(self, stack: Stack, config: Config) -> Iterator[Found]:
        """Yield what is wrong with a stack."""
        for each in self.check(stack, config):
            if (self.name, each.about) not in config.exempt:
                yield Found(message=self.message(each.message), urn=each.urn, about=each.about)


def resource_rule(
    name: str,
    area: str,
    *,
    says: str,
    fix: str,
    types: Callable[[Resource], bool],
    levels: Mapping[str, Level] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    remedy: Remedy | None = None,
) -> Callable[[ResourceCheck], ResourceRule]:
    """Make a rule of a function that yields what is wrong with one resource."""

    def make(check: ResourceCheck) -> ResourceRule:
        return ResourceRule(
            name=name,
            area=area,
            says=says,
            fix=fix,
            levels=levels or {},
            options=options or {},
            check=check,
            types=types,
            remedy=remedy,
        )

    return make


def stack_rule(
    name: str,
    area: str,
    *,
    says: str,
    fix: str,
    levels: Mapping[str, Level] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[StackCheck], StackRule]:
    """Make a rule of a function that yields what is wrong with a stack."""

    def make(check: StackCheck) -> StackRule:
        return StackRule(
            name=name, area=area, says=says, fix=fix, levels=levels or {}, options=options or {}, check=check
        )

    return make


def about(resource: Resource, message: str) -> Found:
    """Say what is wrong with one resource of a stack."""
    return Found(message=message, urn=resource.urn, about=resource.label)


def any_of(*kinds: str) -> Callable[[Resource], bool]:
    """Return a choice of Kubernetes objects by their kinds."""
    return lambda resource: resource.kind in kinds


def typed(*types: str) -> Callable[[Resource], bool]:
    """Return a choice of resources by their types."""
    return lambda resource: resource.type in types


def selects(selector: object, labels: object) -> bool:
    """Tell whether a label selector finds labels, or may. An empty one finds all; one that is not there finds nothing."""
    if selector is None:
        return False
    wanted = entries(selector, "matchLabels")
    return labels is UNKNOWN or (
        all(agree(at(labels, key), value) for key, value in wanted.items())
        and all(_holds(each, labels) for each in elements(selector, "matchExpressions"))
    )


def _holds(expression: object, labels: object) -> bool:
    found, values = at(labels, text(at(expression, "key"))), at(expression, "values")
    if found is UNKNOWN or hidden(values):
        return True
    match at(expression, "operator"):
        case "In":
            return found in elements(values)
        case "NotIn":
            return found not in elements(values)
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case _:
            return True
