"""Charts are pinned in one table, and nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from components.charts import KARPENTER, KARPENTER_CRD, LOAD_BALANCER_CONTROLLER, Chart
from rehearsal.toolchain.gomod import required_version

pytestmark = pytest.mark.unit

CHARTS = (KARPENTER, KARPENTER_CRD, LOAD_BALANCER_CONTROLLER)
VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[\w.]+)?")


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_chart_is_pinned_to_one_release_of_a_published_repository(chart: Chart) -> None:
    assert VERSION.fullmatch(chart.version)
    assert chart.repository.startswith(("https://", "oci://"))
    assert not chart.repository.endswith("/")


def test_in_an_oci_registry_the_chart_is_its_whole_address() -> None:
    assert KARPENTER.reference == "oci://public.ecr.aws/karpenter/karpenter"
    assert LOAD_BALANCER_CONTROLLER.reference == "aws-load-balancer-controller"


def test_karpenter_and_its_definitions_are_of_one_version_and_the_tests_use_the_same(root: Path) -> None:
    tool = required_version(root / "tools/karpenter/go.mod", "github.com/aws/karpenter-provider-aws")
    assert {f"v{KARPENTER.version}", f"v{KARPENTER_CRD.version}"} == {tool}


def test_no_other_module_names_a_version(root: Path) -> None:
    found = {
        f"{path.relative_to(root)}:{node.lineno}"
        for path in (root / "components").rglob("*.py")
        if path.name != "charts.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VERSION.fullmatch(node.value)
    }
    assert found == set()
