"""Observability: what models do is written down, without what people asked them, and somebody is told when they fail."""

import json
from collections.abc import Iterator
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, resource_rule, stack_rule
from .values import UNKNOWN, agree, at, elements, entries, hidden, leaves, may, text
from .workloads import is_model, pod_of

AREA: Final = "observability"
MIDDLEWARE: Final = "--middleware=vllm_platform_middleware.Middleware"
NO_ACCESS_LOG: Final = "--disable-uvicorn-access-log"
REQUEST_LOG: Final = ("--enable-log-requests", "--enable-log-outputs")
BOARD_LABEL: Final = "grafana_dashboard"
COLLECTOR: Final = "opentelemetry-collector"
# Of text that must never be kept: whoever redacts has to look for both.
TEXT_KEYS: Final = ("prompt", "messages")
_BLOCKING: Final = ("blocked_values", "blocked_key_patterns")
_CONFIGURATIONS: Final = ("alternateConfig", "config")


@resource_rule(
    "models-log-requests-without-text",
    AREA,
    says="A model writes one line of JSON for each request, and never its text",
    fix=f"add {MIDDLEWARE} and {NO_ACCESS_LOG} to the engine's arguments, and remove {' and '.join(REQUEST_LOG)}",
    types=is_model,
)
def logged(resource: Resource, _: Config) -> Iterator[str]:
    """What vLLM itself logs of a request has the prompt in it."""
    pod = pod_of(resource)
    if pod.engine is UNKNOWN or hidden(pod.engine, "args"):
        return
    arguments = pod.arguments
    missing = [each for each in (MIDDLEWARE, NO_ACCESS_LOG) if each not in arguments]
    if missing:
        yield f"the model {resource.label} runs without {' and '.join(missing)}"
    if any(each in REQUEST_LOG for each in arguments):
        yield f"the model {resource.label} writes prompts or answers into its log"


def _configuration(chart: Resource) -> Any:  # noqa: ANN401 - a collector's configuration
    for key in _CONFIGURATIONS:
        found = at(chart.props, "values", key)
        if found is not None:
            return found
    return None


def _pipelines(chart: Resource) -> Any:  # noqa: ANN401 - pipelines by name, or UNKNOWN
    return at(_configuration(chart), "service", "pipelines")


def _log_pipelines(chart: Resource) -> Iterator[tuple[str, Any]]:
    for name, pipeline in entries(_pipelines(chart)).items():
        if name.partition("/")[0] == "logs" and may(_is_of_files, pipeline, "receivers"):
            yield name, pipeline


def _is_of_files(receiver: object) -> bool:
    return text(receiver).startswith(("file_log", "filelog"))


def _reads_logs(chart: Resource) -> bool:
    later = UNKNOWN in (at(chart.props, "chart"), _pipelines(chart))
    return later or any(True for _ in _log_pipelines(chart))


@resource_rule(
    "log-agents-redact",
    AREA,
    says="An agent that reads logs of pods removes the text of prompts and answers before they go anywhere",
    fix="add a redaction processor to the pipeline, with blocked_values and blocked_key_patterns for "
    + " and ".join(TEXT_KEYS),
    types=lambda resource: resource.is_chart and text(at(resource.props, "chart")).endswith(COLLECTOR),
)
def redacted(resource: Resource, _: Config) -> Iterator[str]:
    """The second of two walls: the first is that no line has it."""
    configuration = _configuration(resource)
    for name, pipeline in _log_pipelines(resource):
        processors = [text(each) for each in elements(pipeline, "processors")]
        used = [each for each in processors if each.partition("/")[0] == "redaction"]
        if not used and not hidden(pipeline, "processors"):
            yield f"the pipeline {name} of {resource.label} removes no text"
        for each in used:
            settings = at(configuration, "processors", each)
            blocked = [text(pattern) for key in _BLOCKING for pattern in elements(settings, key)]
            later = settings is UNKNOWN or any(hidden(settings, key) for key in _BLOCKING)
            if not later and not all(any(key in pattern for pattern in blocked) for key in TEXT_KEYS):
                yield f"{each} of {resource.label} lets prompts through"


def _collectors(stack: Stack) -> list[Resource]:
    nameless = [each for each in stack.resources if each.is_chart and at(each.props, "chart") is UNKNOWN]
    return [*stack.charts(COLLECTOR), *nameless]


@stack_rule(
    "logs-are-collected",
    AREA,
    says="Where models run, an agent collects logs and removes text from them",
    fix="set `addons: {otel_collector: managed, loki: managed}`, or `existing` where the cluster has them",
    levels={"dev": "advisory"},
)
def collected(stack: Stack, config: Config) -> Iterator[Found]:
    """A node that is gone has taken its logs with it."""
    there = config.addons.get("otel_collector") == "existing" or any(map(_reads_logs, _collectors(stack)))
    if stack.models and not there:
        yield Found(message="no agent collects the logs of the stack's models")


@stack_rule(
    "models-have-alerts",
    AREA,
    says="Each model has alerts",
    fix="add a PrometheusRule whose alerts name it (the program makes one where the stack has Prometheus)",
    levels={"dev": "advisory"},
)
def alerted(stack: Stack, config: Config) -> Iterator[Found]:
    """Rules that watch all models name none, and are counted for each."""
    if not (config.has("prometheus") or stack.charts("kube-prometheus-stack")):
        return
    alerts = [rule for each in stack.of("PrometheusRule") for rule in _alerts(each)]
    for model in stack.models:
        if not any(_names(rule, model.label) for rule in alerts):
            yield about(model, f"no alert is about the model {model.label}")


def _alerts(resource: Resource) -> Iterator[Any]:
    """Yield the alerts of an object; UNKNOWN where some may turn out to be there."""
    groups = at(resource.props, "spec", "groups")
    if hidden(groups):
        yield UNKNOWN
    for group in elements(groups):
        if hidden(group, "rules"):
            yield UNKNOWN
        yield from (rule for rule in elements(group, "rules") if at(rule, "alert") is not None)


def _names(rule: object, model: str) -> bool:
    return (
        agree(at(rule, "labels", "model"), model)
        or at(rule, "expr") is UNKNOWN
        or f'"{model}"' in text(at(rule, "expr"))
    )


@stack_rule(
    "dashboards-show-the-slowest-requests",
    AREA,
    says="Where there is Grafana, a dashboard shows the 99th percentile of latency and the time to the first token",
    fix="add a ConfigMap labelled grafana_dashboard with such panels (the program makes them where the stack has Grafana)",
)
def shown(stack: Stack, _: Config) -> Iterator[Found]:
    """An average hides whoever waits longest."""
    grafana = [
        each
        for each in [*stack.charts("kube-prometheus-stack"), *stack.charts("grafana")]
        if at(each.props, "values", "grafana", "enabled") is not False
    ]
    boards = [each for each in stack.of("ConfigMap") if at(each.labels, BOARD_LABEL) is not None]
    queries = " ".join(text(query) for board in boards for query in _queries(board))
    later = any(UNKNOWN in (board.labels, *_files(board)) for board in boards)
    if grafana and not later and not ("0.99" in queries and "time_to_first_token" in queries):
        yield Found(message=f"of {len(boards)} dashboards none shows P99 and the time to the first token")


def _files(board: Resource) -> list[Any]:
    return [value for _, value in leaves(at(board.props, "data"))]


def _queries(board: Resource) -> Iterator[Any]:
    for document in _files(board):
        try:
            parsed = json.loads(text(document))
        except ValueError:
            continue
        yield from (value for path, value in leaves(parsed) if path[-1:] == ("expr",))


RULES: Final = (logged, redacted, collected, alerted, shown)
