"""What there is to install, as the catalogue, the charts' table and the tests have it."""

from collections.abc import Iterable
from typing import Final

from components.charts import PAIRS
from components.unit_charts import CHART_OF
from docs.generator.tables import listed, table
from settings.addon_catalogue import ADDON_NAMES, CATALOGUE, Unit
from settings.addon_choices import ALWAYS_ON_EKS
from settings.addon_namespaces import ADDON_NAMESPACES

INSTALLED: Final = "the real chart is installed into a rehearsal cluster"
REHEARSED: Final = f"{INSTALLED}; its controller serves the models of every rehearsal"
VALUES: Final = "values checked against the chart's own"
NOT_AT_HAND: Final = "schema only: the chart's values are not at hand"
SHOWN: Final[dict[str, str]] = {
    "gateway-api": INSTALLED,
    "cert-manager": INSTALLED,
    "kserve-definitions": REHEARSED,
    "kserve": REHEARSED,
    "envoy-gateway-definitions": INSTALLED,
    "envoy-gateway": f"{INSTALLED}; its controller accepts the class and makes its proxies",
    "external-secrets": f"{INSTALLED}, in 1.3 (newer ones are no Go module)",
    "karpenter-definitions": INSTALLED,
    "karpenter": INSTALLED,
    "metrics-server": NOT_AT_HAND,
    "prometheus-definitions": NOT_AT_HAND,
    "cloudnative-pg-backups": NOT_AT_HAND,
}
"""By what a unit is shown; the rest by VALUES."""

_DEFAULTS: Final[dict[str, str]] = {
    "dcgm_exporter": "where there is a GPU pool",
    "nvidia_device_plugin": "where a GPU pool has the node image al2023",
    "prometheus_adapter": "where a model scales by hpa",
    "cloudnative_pg": "where there is a database",
    "load_balancer_controller": "where there is an edge",
    "karpenter": "where a pool is elastic",
}


def addons_table() -> str:
    """Return one row a chart."""
    rows = [
        (
            f"`{unit.addon}`",
            f"{CHART_OF[unit.name].name} {CHART_OF[unit.name].version}",
            ADDON_NAMESPACES[unit.name],
            listed([*unit.needs, *(f"{name} (running)" for name in unit.uses)]) or "-",
            SHOWN.get(unit.name, VALUES),
        )
        for unit in _sorted(CATALOGUE)
    ]
    return table(("add-on", "chart", "namespace", "needs", "shown by"), rows)


def defaults_table() -> str:
    """Return when an add-on is managed on a new cluster where the stack says nothing."""
    rows = [(f"`{addon}`", _default(addon)) for addon in ADDON_NAMES]
    return table(("add-on", "managed on EKS"), rows)


def pins_table() -> str:
    """Return the charts that are held, and the pairs that upstream tests."""
    held = {f"{chart.name} {chart.version}": chart.why_held for chart in CHART_OF.values() if chart.why_held}
    pairs = [
        (
            f"{pair.first}, {pair.second}",
            pair.tested,
            "the same" if pair.as_tested else pair.here,
            pair.source,
        )
        for pair in PAIRS
    ]
    return "\n\n".join(
        [
            table(("held", "why"), sorted(held.items())),
            table(("pair", "upstream tests", "here", "source"), pairs),
        ]
    )


def _default(addon: str) -> str:
    return "always" if addon in ALWAYS_ON_EKS else _DEFAULTS.get(addon, "no")


def _sorted(units: Iterable[Unit]) -> list[Unit]:
    return sorted(units, key=lambda unit: ADDON_NAMES.index(unit.addon))
