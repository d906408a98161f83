"""Reads the sections of a stack's configuration one by one, each pool and each model by itself."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

from pydantic import TypeAdapter

from settings.addons import Addons
from settings.audit import Audit, NoAudit
from settings.builds import Builds
from settings.charts import ChartSource, PublishedCharts
from settings.cluster import Cluster
from settings.content_filter import Filter, NoFilter
from settings.costs import Costs
from settings.database import Database, NoDatabase
from settings.draft import Draft
from settings.edge import Edge, NoEdge
from settings.gateway import Gateway
from settings.gateways import AnyGateway, with_kind
from settings.models import Model
from settings.observability import Observability
from settings.policies import Policies
from settings.pools import Pool
from settings.problems import Problem, is_secret
from settings.promotion import Promotion
from settings.registry import Registry
from settings.scalars import Namespace
from settings.secrets import ManualSecrets, Secrets
from settings.security import Security
from settings.stack import Environment
from settings.state import State
from settings.storage import Storage
from settings.structure import label, parse, spelt, suggest

T = TypeVar("T")

DEFAULT_NAMESPACE: Final = "llm-prod"
SECTIONS: Final = (
    "environment",
    "cluster",
    "registry",
    "builds",
    "namespace",
    "storage",
    "edge",
    "gateway",
    "state",
    "secrets",
    "audit",
    "addons",
    "charts",
    "observability",
    "database",
    "content_filter",
    "security",
    "cost",
    "policies",
    "promotion",
    "pools",
    "models",
)
"""The keys that hold settings; every other key of the program's namespace must be a secret."""
TEXT_SECTIONS: Final = frozenset({"environment", "namespace"})

_ENVIRONMENT: Final = TypeAdapter[Environment](Environment)
_CLUSTER: Final = TypeAdapter[Cluster](Cluster)
_REGISTRY: Final = TypeAdapter[Registry](Registry)
_BUILDS: Final = TypeAdapter[Builds](Builds)
_NAMESPACE: Final = TypeAdapter[str](Namespace)
_STORAGE: Final = TypeAdapter[Storage](Storage)
_EDGE: Final = TypeAdapter[Edge](Edge)
_GATEWAY: Final = TypeAdapter[AnyGateway](AnyGateway)
_STATE: Final = TypeAdapter[State](State)
_SECRETS: Final = TypeAdapter[Secrets](Secrets)
_AUDIT: Final = TypeAdapter[Audit](Audit)
_ADDONS: Final = TypeAdapter[Addons](Addons)
_CHARTS: Final = TypeAdapter[ChartSource](ChartSource)
_OBSERVABILITY: Final = TypeAdapter[Observability](Observability)
_DATABASE: Final = TypeAdapter[Database](Database)
_FILTER: Final = TypeAdapter[Filter](Filter)
_SECURITY: Final = TypeAdapter[Security](Security)
_COST: Final = TypeAdapter[Costs](Costs)
_POLICIES: Final = TypeAdapter[Policies](Policies)
_PROMOTION: Final = TypeAdapter[Promotion](Promotion)
_POOL: Final = TypeAdapter[Pool](Pool)
_MODEL: Final = TypeAdapter[Model](Model)
_EXAMPLES: Final = {
    "environment": "dev, staging or prod",
    "cluster": "e.g. {kind: rehearsal, name: local, region: us-east-1, zones: [us-east-1a, us-east-1b]}",
    "registry": 'e.g. {kind: ecr, account: "123456789012", region: us-east-1}',
    "pools": "a list of node pools",
    "models": "a list of models",
}


def read_sections(config: Mapping[str, object]) -> tuple[Draft, list[Problem]]:
    """Read what can be read. `config` has keys without namespace; a secret's value is `{secure: ...}`."""
    problems = _unknown_sections(config)
    for name in SECTIONS:
        problems += _secrets_inside(name, config.get(name))
    clean = {
        name: config[name]
        for name in SECTIONS
        if config.get(name) is not None and not is_secret(config[name])
    }
    if "gateway" in clean:
        clean["gateway"] = with_kind(clean["gateway"])
    missing = [name for name in _EXAMPLES if name not in clean and not is_secret(config.get(name))]
    problems += [
        Problem(name, None, "the section is missing", f"add `vllm-platform:{name}:` with {_EXAMPLES[name]}")
        for name in missing
    ]

    def read(name: str, adapter: TypeAdapter[T], annotation: object) -> T | None:
        if name not in clean:
            return None
        value, found = parse(adapter, annotation, clean[name], name)
        problems.extend(found)
        return value

    pools, broken_pools, found = _read_list("pools", clean, _POOL, Pool)
    models, broken_models, more = _read_list("models", clean, _MODEL, Model)
    draft = Draft(
        environment=read("environment", _ENVIRONMENT, Environment),
        cluster=read("cluster", _CLUSTER, Cluster),
        registry=read("registry", _REGISTRY, Registry),
        builds=read("builds", _BUILDS, Builds) if "builds" in clean else Builds(),
        namespace=read("namespace", _NAMESPACE, Namespace) if "namespace" in clean else DEFAULT_NAMESPACE,
        storage=read("storage", _STORAGE, Storage) if "storage" in clean else Storage(),
        edge=read("edge", _EDGE, Edge) if "edge" in clean else NoEdge(kind="off"),
        gateway=read("gateway", _GATEWAY, AnyGateway) if "gateway" in clean else Gateway(),
        state=(state := read("state", _STATE, State)),
        broken_state=state is None and config.get("state") is not None,
        addons=read("addons", _ADDONS, Addons) if "addons" in clean else Addons(),
        charts=read("charts", _CHARTS, ChartSource)
        if "charts" in clean
        else PublishedCharts(kind="published"),
        observability=read("observability", _OBSERVABILITY, Observability)
        if "observability" in clean
        else Observability(),
        database=read("database", _DATABASE, Database) if "database" in clean else NoDatabase(kind="off"),
        content_filter=read("content_filter", _FILTER, Filter)
        if "content_filter" in clean
        else NoFilter(kind="off"),
        kept=read("secrets", _SECRETS, Secrets) if "secrets" in clean else ManualSecrets(kind="manual"),
        audit=read("audit", _AUDIT, Audit) if "audit" in clean else NoAudit(kind="off"),
        security=read("security", _SECURITY, Security) if "security" in clean else Security(),
        cost=read("cost", _COST, Costs) if "cost" in clean else Costs(),
        policies=read("policies", _POLICIES, Policies) if "policies" in clean else Policies(),
        promotion=read("promotion", _PROMOTION, Promotion),
        pools=pools,
        models=models,
        secrets=frozenset(name for name, value in config.items() if is_secret(value)),
        broken_pools=broken_pools,
        broken_models=broken_models,
    )
    return draft, [*problems, *found, *more]


def _read_list(
    name: str, clean: Mapping[str, object], adapter: TypeAdapter[T], annotation: object
) -> tuple[tuple[T, ...], int, list[Problem]]:
    """Read a list item by item. Return the items that parsed, how many did not, and the problems."""
    value = clean.get(name, [])
    if not isinstance(value, list):
        return (
            (),
            1,
            [Problem(name, value, "must be a list", f"write {_EXAMPLES[name]}, lines that begin with '- '")],
        )
    items: list[T] = []
    problems: list[Problem] = []
    broken = 0
    for index, item in enumerate(cast("list[object]", value)):
        parsed, found = parse(adapter, annotation, item, f"{name}[{label(item, index)}]")
        problems += found
        if parsed is None:
            broken += 1
        else:
            items.append(parsed)
    return tuple(items), broken, problems


def _unknown_sections(config: Mapping[str, object]) -> list[Problem]:
    return [
        # Not its value: what is set in the wrong place may well be a secret.
        Problem(
            spelt(key),
            None,
            "unknown section",
            f"{suggest(key, SECTIONS)}remove it; the sections are: {', '.join(SECTIONS)}; "
            "a secret is set with `pulumi config set --secret`",
        )
        for key, value in config.items()
        if key not in SECTIONS and not is_secret(value)
    ]


def _secrets_inside(path: str, value: object, depth: int = 0) -> list[Problem]:
    """Find secrets inside a section: Pulumi hands them to the program as plain text, with no warning."""
    if depth > 20:  # noqa: PLR2004 - deeper than any setting; a YAML alias can make a value contain itself
        return []
    if is_secret(value):
        fix = "give the secret a key of its own: `pulumi config set --secret vllm-platform:NAME`"
        return [Problem(path, value, "a secret inside a section would reach the program as plain text", fix)]
    found: list[Problem] = []
    if isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            found += _secrets_inside(f"{path}.{spelt(key)}", item, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            found += _secrets_inside(f"{path}[{label(item, index)}]", item, depth + 1)
    return found
