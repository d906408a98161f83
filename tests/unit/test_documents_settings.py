"""Parts of stack files in the documents are ones that a stack may have; the table of add-ons is of all charts."""

import re
from pathlib import Path
from typing import Any, Final, cast

import pytest

from components.unit_charts import CHART_OF
from docs.generator.addons_table import SHOWN
from settings import stack_yaml
from settings.addon_catalogue import CATALOGUE
from settings.sections import read_sections

pytestmark = pytest.mark.unit

BLOCK: Final = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["addons.md", "gateway.md", "image.md"])
def test_parts_of_stack_files_are_read_without_a_problem(root: Path, document: str) -> None:
    blocks = BLOCK.findall((root / "docs" / document).read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        content = cast("dict[str, Any]", stack_yaml.load(block))
        sections = {key.removeprefix("vllm-platform:"): value for key, value in content.items()}
        _, problems = read_sections(sections)
        assert [p for p in problems if p.path.partition(".")[0] in sections] == []


def test_its_table_has_every_chart_of_the_catalogue() -> None:
    assert set(CHART_OF) == {unit.name for unit in CATALOGUE}
    assert set(SHOWN) <= set(CHART_OF)
