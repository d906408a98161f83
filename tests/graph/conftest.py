"""The whole program of a stack, rendered once."""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
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
def _graphs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ProgramGraph]:
    """Run each stack's program once, for all test processes together: on AWS that takes some ten seconds."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @cache
    def run(stack: str) -> ProgramGraph:
        file = shared / f"graph-{stack}.json"
        with (shared / f"graph-{stack}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                file.write_text(json.dumps(asdict(program_graph(stack, root))), encoding="utf-8")
        read = json.loads(file.read_text(encoding="utf-8"))
        return ProgramGraph(
            resources=tuple(read["resources"]), outputs=read["outputs"], warnings=tuple(read["warnings"])
        )

    return run


@pytest.fixture
def graph(_graphs: Callable[[str], ProgramGraph], each_stack: str) -> ProgramGraph:
    """What the program of each stack asks for."""
    return _graphs(each_stack)


@pytest.fixture
def prod(_graphs: Callable[[str], ProgramGraph]) -> ProgramGraph:
    """What the program of the stack `prod` asks for."""
    return _graphs("prod")


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
