"""The whole program of a stack, rendered once."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.program_graph import ProgramGraph, program_graph
from ops.render import RenderSummary, write
from settings import Settings, load_stack_file

Object = Mapping[str, Any]


@pytest.fixture(scope="session")
def _graphs(root: Path) -> Callable[[str], ProgramGraph]:
    @cache
    def run(stack: str) -> ProgramGraph:
        return program_graph(stack, root)

    return run


@pytest.fixture
def graph(_graphs: Callable[[str], ProgramGraph], each_stack: str) -> ProgramGraph:
    """What the program of each stack asks for."""
    return _graphs(each_stack)


@pytest.fixture
def settings(root: Path, each_stack: str) -> Settings:
    """The settings of each stack."""
    return load_stack_file(root / f"Pulumi.{each_stack}.yaml")


@pytest.fixture(scope="session")
def rendered(
    tmp_path_factory: pytest.TempPathFactory, _graphs: Callable[[str], ProgramGraph], each_stack: str
) -> RenderSummary:
    """Each stack as files."""
    return write(_graphs(each_stack), each_stack, tmp_path_factory.mktemp("render") / each_stack)


@pytest.fixture
def objects(rendered: RenderSummary) -> list[Object]:
    """Every Kubernetes object of each stack, read back from its file."""
    return [yaml.safe_load(path.read_text()) for path in sorted((rendered.out / "kubernetes").glob("*.yaml"))]


@pytest.fixture
def inference_services(objects: list[Object]) -> dict[str, Object]:
    """Every InferenceService of each stack, by name."""
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == "InferenceService"}
