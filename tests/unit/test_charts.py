"""Charts are pinned in one table, and nowhere else."""

import ast
import re
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from components import charts
from components.charts import KARPENTER, KARPENTER_CRD, LOAD_BALANCER_CONTROLLER, PAIRS, Chart
from rehearsal.toolchain.definitions_table import DEFINITIONS
from rehearsal.toolchain.gomod import required_version
from rehearsal.toolchain.table import tool_named
from tests.charts import published_values

pytestmark = pytest.mark.unit

CHARTS: Final = {name: value for name, value in vars(charts).items() if isinstance(value, Chart)}
VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[\w.]+)?")
# Tools whose module is checked against, and the chart that installs the same.
SAME: Final = {
    "cert-manager": charts.CERT_MANAGER,
    "cloudnative-pg": charts.CLOUDNATIVE_PG,
    "cloudnative-pg-backups": charts.BARMAN_CLOUD,
    "envoy-gateway": charts.ENVOY_GATEWAY,
    "istio": charts.ISTIO_BASE,
    "karpenter": KARPENTER,
    "keda": charts.KEDA,
    "kserve": charts.KSERVE,
    "prometheus-operator": charts.PROMETHEUS,
}
# The rest, and why a test of theirs says less.
OTHER: Final = {
    "external-secrets": "no module of a version from 2 on has a path that a proxy serves",
    "external-secrets-controller": "of releases of several modules no proxy serves the parts",
    "vault": "newer releases fit no published part of theirs: docs/tools.md",
    "gateway-api": "comes with Envoy Gateway's chart, see the pair",
    "prometheus": "the chart names it by a value of its own, the operator's default: docs/tools.md says which",
    "alertmanager": "its image has a tag of its own among the values: tests/rehearsal/test_alert_routes.py holds it equal",
    "kong": "its kinds have versions of their own",
    "otelcol": "the chart's image is another distribution of the collector: docs/tools.md says which",
    "ratelimit": "no chart has it: Envoy Gateway makes its Deployment, with an image of its own choice",
}
# Folders of published charts that have another name than the chart.
FOLDERS: Final = {"base": "istio-base", "cni": "istio-cni"}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_chart_is_pinned_to_one_release_of_a_published_repository(chart: Chart) -> None:
    assert VERSION.fullmatch(chart.version)
    assert chart.repository.startswith(("https://", "oci://"))
    assert not chart.repository.endswith("/")


def test_in_an_oci_registry_the_chart_is_its_whole_address() -> None:
    assert KARPENTER.reference == "oci://public.ecr.aws/karpenter/karpenter"
    assert LOAD_BALANCER_CONTROLLER.reference == "aws-load-balancer-controller"


def test_karpenter_and_its_definitions_are_of_one_version() -> None:
    assert KARPENTER.version == KARPENTER_CRD.version


def test_what_the_tests_know_is_of_the_version_that_is_installed(root: Path) -> None:
    assert set(SAME) | set(OTHER) == {tool.name for tool in DEFINITIONS} | {"kserve"}
    for name, chart in SAME.items():
        version = required_version(root / "tools" / name / "go.mod", tool_named(name).module)
        assert version.removeprefix("v") == (chart.app or chart.version).removeprefix("v"), name


def test_the_gateway_s_kinds_are_those_that_envoy_gateway_brings(root: Path) -> None:
    (pair,) = [pair for pair in PAIRS if (pair.first, pair.second) == ("Envoy Gateway", "Gateway API")]
    assert pair.as_tested
    version = required_version(root / "tools/gateway-api/go.mod", tool_named("gateway-api").module)
    assert pair.here.endswith(f"with {version}")


@pytest.mark.parametrize("name", [name for name, chart in CHARTS.items() if chart.app])
def test_the_version_of_what_a_chart_installs_is_the_chart_s_own_word(root: Path, name: str) -> None:
    chart = CHARTS[name]
    if name in {"PROMETHEUS_CRDS", "BARMAN_CLOUD", "METRICS_SERVER"}:
        pytest.skip("this chart's own file is not among those that are at hand")
    published_values(root, FOLDERS.get(chart.name, chart.name))
    path = root.parent / "shared/charts" / FOLDERS.get(chart.name, chart.name) / "Chart.yaml"
    content = cast("dict[str, Any]", yaml.safe_load(path.read_text("utf-8")))
    assert (str(content["version"]), str(content["appVersion"])) == (chart.version, chart.app)


def test_no_other_module_names_a_version(root: Path) -> None:
    found = {
        f"{path.relative_to(root)}:{node.lineno}"
        for path in (root / "components").rglob("*.py")
        if path.name != "charts.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VERSION.fullmatch(node.value)
    }
    assert found == set()
