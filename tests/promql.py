"""Which metrics the program's expressions are about, and which there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import yaml

from components import signals
from components.dashboards.library import boards_of
from components.dashboards.panels import Board, Panel, Query
from components.telemetry.model_rules import rules_of
from ops.rollout import queries
from settings import Settings
from settings.addons import Addons
from settings.objectives import Objectives

NAMES: Final = Path(__file__).parent / "data" / "metric_names.yaml"
_WORDS: Final = {"and", "or", "unless", "bool", "offset"}
_PLACE: Final = ("llm-prod", "chat")


def known() -> dict[str, set[str]]:
    """Return the list of names, by who shows them."""
    read = cast("dict[str, list[str]]", yaml.safe_load(NAMES.read_text(encoding="utf-8")))
    return {source: set(names) for source, names in read.items()}


def metrics_in(expression: str) -> set[str]:
    """Return the metrics of an expression. Whatever is no label, text, time, function or word of PromQL counts as one."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\boffset\s+\w+", " ", text)
    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", text)) - _WORDS


def rule_expressions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the expressions of a stack's rules, with every objective, with and without a gateway; and what they record."""
    every = Objectives(inter_token_seconds=0.1, request_seconds=0.3)
    models = tuple(model.model_copy(update={"objectives": every}) for model in settings.models)
    gated = settings.model_copy(update={"models": models})
    for each in (gated, gated.model_copy(update={"addons": Addons(envoy_gateway="off")})):
        for groups in rules_of(each).values():
            for rule in (rule for group in groups for rule in group["rules"]):
                yield rule["expr"], rule.get("record", "")


def shown(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the panels of a stack's dashboards, and what each asks, with all that can be chosen."""
    for board, panel, _, expression in questions(settings):
        yield f"{board.name}: {panel.title}", expression


def questions(settings: Settings) -> Iterator[tuple[Board, Panel, Query, str]]:
    """Yield what each panel of a stack's dashboards asks, with all that can be chosen."""
    for board in boards_of(settings):
        first = next((each.first for each in board.variables if each.name == "model" and each.first), ".*")
        chosen = {
            "$namespace": settings.namespace,
            "$model": first,
            "$version": ".*",
            "$node": ".*",
            "$__rate_interval": "1m",
        }
        for panel in board.panels:
            for query in panel.queries:
                expression = query.expression
                for name, value in chosen.items():
                    expression = expression.replace(name, value)
                yield board, panel, query, expression


def asked_elsewhere() -> Iterator[str]:
    """Yield what scalers and the judge of rollouts ask."""
    for signal in (signals.running, signals.waiting, signals.kv_cache, signals.gpu_utilization):
        yield signal(*_PLACE)
    yield signals.or_zero_without_replicas(signals.gateway_demand(*_PLACE), "llm-prod", "chat-predictor")
    window = queries.Window(seconds=60)
    place = 'namespace="llm-prod"'
    yield queries.engine_requests(place, window, "failed")
    yield queries.gateway_requests(place, window)
    for time in queries.TIMES:
        yield queries.distribution(time, place, window)
