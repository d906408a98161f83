"""The document of add-ons: its parts of stack files are ones that a stack may have, and its table is of all charts."""

import re
from pathlib import Path
from typing import Any, Final, cast

import pytest

from docs.generator.addons_table import CHART_OF, SHOWN
from settings import stack_yaml
from settings.addon_catalogue import CATALOGUE
from settings.sections import read_sections

pytestmark = pytest.mark.unit

BLOCK: Final = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(root: Path) -> list[str]:
    return BLOCK.findall((root / "docs/addons.md").read_text(encoding="utf-8"))


def test_its_parts_of_stack_files_are_read_without_a_problem(root: Path) -> None:
    blocks = _blocks(root)
    assert blocks
    for block in blocks:
        content = cast("dict[str, Any]", stack_yaml.load(block))
        sections = {key.removeprefix("vllm-platform:"): value for key, value in content.items()}
        _, problems = read_sections(sections)
        assert [p for p in problems if p.path.partition(".")[0] in sections] == []


def test_its_table_has_every_chart_of_the_catalogue() -> None:
    assert set(CHART_OF) == {unit.name for unit in CATALOGUE}
    assert set(SHOWN) <= set(CHART_OF)
