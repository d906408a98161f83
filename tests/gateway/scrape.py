"""What the Prometheus operator (v0.93.1, pkg/prometheus/promcfg.go) makes of a PodMonitor: labels are the operator's own.

Only what a PodMonitor of this project says is understood; anything else is refused, for it would be left out in silence.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rehearsal.cluster.api import Object

_SPEC: Final = frozenset(
    {"selector", "namespaceSelector", "podMetricsEndpoints", "podTargetLabels", "jobLabel", "attachMetadata"}
)
_ENDPOINT: Final = frozenset(
    {"port", "path", "interval", "scrapeTimeout", "scheme", "honorLabels", "relabelings", "metricRelabelings"}
)
_META: Final = "__meta_kubernetes_"
_PARTS: Final = re.compile(r"[A-Z]")
_NOT_A_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")


def scrape_configs(monitor: Object, discovery: Mapping[str, Any], interval: str) -> list[dict[str, Any]]:
    """Return the scrape configurations of a PodMonitor.

    discovery: how Prometheus reaches the API server. interval: of all scrapes, in the place of the monitor's own, for
    tests do not wait for half a minute. Raises NotImplementedError.
    """
    spec = monitor["spec"]
    _only(spec, _SPEC, monitor)
    return [
        _job(monitor, endpoint, number, discovery, interval)
        for number, endpoint in enumerate(spec["podMetricsEndpoints"])
    ]


def _job(
    monitor: Object, endpoint: Mapping[str, Any], number: int, discovery: Mapping[str, Any], interval: str
) -> dict[str, Any]:
    _only(endpoint, _ENDPOINT, monitor)
    meta = monitor["metadata"]
    name = f"{meta['namespace']}/{meta['name']}"
    return {
        "job_name": f"podMonitor/{name}/{number}",
        "honor_labels": endpoint.get("honorLabels", False),
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "metrics_path": endpoint.get("path", "/metrics"),
        "scheme": endpoint.get("scheme", "http").lower(),
        "kubernetes_sd_configs": [
            {"role": "pod", **_namespaces(monitor["spec"], meta["namespace"]), **discovery}
        ],
        "relabel_configs": [
            *_selected(monitor["spec"]["selector"]),
            *_labelled(monitor["spec"], endpoint, name),
            *map(_rule, endpoint.get("relabelings", [])),
        ],
        "metric_relabel_configs": [_rule(rule) for rule in endpoint.get("metricRelabelings", [])],
    }


def _namespaces(spec: Mapping[str, Any], own: str) -> dict[str, Any]:
    selector = spec.get("namespaceSelector", {})
    if selector.get("any"):
        return {}
    return {"namespaces": {"names": selector.get("matchNames", [own])}}


def _selected(selector: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Keep running pods with the labels that the monitor asks for."""
    rules: list[dict[str, Any]] = [
        {"action": "drop", "source_labels": [f"{_META}pod_phase"], "regex": "(Failed|Succeeded)"}
    ]
    for key, value in sorted(selector.get("matchLabels", {}).items()):
        rules.append(_by_label("keep", key, value))
    for expression in selector.get("matchExpressions", []):
        key, values = expression["key"], "|".join(expression.get("values", []))
        match expression["operator"]:
            case "In":
                rules.append(_by_label("keep", key, values))
            case "NotIn":
                rules.append(_by_label("drop", key, values))
            case operator:
                action = "keep" if operator == "Exists" else "drop"
                present = [f"{_META}pod_labelpresent_{_label(key)}"]
                rules.append({"action": action, "source_labels": present, "regex": "true"})
    return rules


def _labelled(spec: Mapping[str, Any], endpoint: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Keep the endpoint's port, and give every series its namespace, container, pod, job and endpoint."""
    rules: list[dict[str, Any]] = [
        {"action": "keep", "source_labels": [f"{_META}pod_container_port_name"], "regex": endpoint["port"]},
        {"source_labels": [f"{_META}namespace"], "target_label": "namespace"},
        {"source_labels": [f"{_META}pod_container_name"], "target_label": "container"},
        {"source_labels": [f"{_META}pod_name"], "target_label": "pod"},
    ]
    rules += [_copied(key, _label(key)) for key in spec.get("podTargetLabels", [])]
    rules.append({"target_label": "job", "replacement": name})
    if "jobLabel" in spec:
        rules.append(_copied(spec["jobLabel"], "job"))
    return [*rules, {"target_label": "endpoint", "replacement": endpoint["port"]}]


def _by_label(action: str, key: str, value: str) -> dict[str, Any]:
    label = _label(key)
    sources = [f"{_META}pod_label_{label}", f"{_META}pod_labelpresent_{label}"]
    return {"action": action, "source_labels": sources, "regex": f"({value});true"}


def _copied(key: str, target: str) -> dict[str, Any]:
    source = [f"{_META}pod_label_{_label(key)}"]
    return {"source_labels": source, "target_label": target, "regex": "(.+)", "replacement": "${1}"}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Write a rule of the API's in Prometheus's own spelling: sourceLabels is source_labels there."""
    return {_PARTS.sub(lambda found: f"_{found[0].lower()}", key): value for key, value in rule.items()}


def _label(key: str) -> str:
    return _NOT_A_LABEL.sub("_", key)


def _only(given: Mapping[str, Any], known: frozenset[str], monitor: Object) -> None:
    unknown: Sequence[str] = sorted(set(given) - known)
    if unknown:
        message = f"PodMonitor {monitor['metadata']['name']}: {', '.join(unknown)} is not understood here"
        raise NotImplementedError(message)
