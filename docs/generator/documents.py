"""The documents of the project, and what their generated blocks should hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from docs.generator.addons_table import addons_table, defaults_table, pins_table
from docs.generator.benchmarks_table import benchmarks_table
from docs.generator.blocks import filled, names_in
from docs.generator.catalogue_table import catalogue_table
from docs.generator.fit_example import fit_table, worked_example
from docs.generator.graph_picture import graph_picture
from docs.generator.policies_table import policies_table
from docs.generator.settings_reference import reference, short_reference
from docs.generator.substitutions_table import substitutions_table
from docs.generator.tools_table import tools_table
from settings import load_stack_file

PICTURED_STACK: Final = "local"
FIT_STACK: Final = "prod"
FIT_MODEL: Final = "qwen-7b-vllm"

BLOCKS: Final[dict[str, Callable[[Path], str]]] = {
    "settings": lambda _: reference(),
    "sections": lambda _: short_reference(),
    "fit": lambda root: fit_table(load_stack_file(root / f"Pulumi.{FIT_STACK}.yaml")),
    "fit-example": lambda root: worked_example(load_stack_file(root / f"Pulumi.{FIT_STACK}.yaml"), FIT_MODEL),
    "catalogue": lambda _: catalogue_table(),
    "tools": tools_table,
    "substitutions": lambda _: substitutions_table(),
    "benchmarks": benchmarks_table,
    "addons": lambda _: addons_table(),
    "addon-defaults": lambda _: defaults_table(),
    "addon-pins": lambda _: pins_table(),
    "policies": lambda _: policies_table(),
    "graph": lambda root: graph_picture(PICTURED_STACK, root),
}
"""Who makes each block, from the root of a checkout."""


def documents(root: Path) -> list[Path]:
    """Return every document that people read."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def generated(path: Path, root: Path) -> str:
    """Return a document as it should be. Raises KeyError for a block that nobody makes."""
    text = path.read_text(encoding="utf-8")
    return filled(text, {name: BLOCKS[name](root) for name in names_in(text)})
