"""Imports point one way, files stay small, and the program stays readable. Checked on the syntax tree, nothing is run."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.unit

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM_LINES: Final = 100
FILE_LINES: Final = 400
# Importer -> what of ours it may import. A package that is not here fails the first test.
ALLOWED: Final = {
    "settings": {"settings"},
    "components": {"components", "settings"},
    "rehearsal": {"rehearsal", "settings"},
    # Pulumi runs it where nothing else of this project is.
    "policies": {"policies"},
    "ops": {"ops", "policies", "rehearsal", "settings"},
    # Runs in the image, where nothing else of this project is.
    "docker": {"docker"},
    "benchmarks": {"benchmarks", "ops", "policies", "rehearsal", "settings"},
    "__main__": {"components", "settings"},
}
# The one module of `settings` that may import Pulumi, inside a function.
PULUMI_LOADER: Final = Path("settings/loader.py")
CODE: Final = (*ALLOWED, "tests", "tools", "policies", "docker", "charts", "loadtest", "docs")


def _files(package: str) -> list[Path]:
    if package == "__main__":
        return [ROOT / "__main__.py"]
    return sorted((ROOT / package).rglob("*.py"))


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of imported modules; a relative import stays inside its package by nature."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _is_for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _packages() -> set[str]:
    """Return the packages of the project: every folder at the top with an `__init__.py`, but the tests."""
    return {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}


def test_every_package_has_its_place_in_the_rule() -> None:
    assert _packages() <= set(ALLOWED)


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    ours = _packages() | set(ALLOWED) | {"tests"}
    files = _files(package)
    assert files
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in _imports(_tree(path))
        if (top := name.partition(".")[0]) in ours and top not in ALLOWED[package]
    ]
    assert wrong == []


def test_the_image_s_middleware_imports_what_vllm_brings_and_nothing_else() -> None:
    brought = {"aiohttp", "prometheus_client", "regex", "vllm_platform_middleware"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "docker" / "vllm" / "vllm_platform_middleware").glob("*.py"))
        for name in _imports(_tree(path))
        if (top := name.partition(".")[0]) not in brought and top not in sys.stdlib_module_names
    ]
    assert wrong == []


def test_settings_know_nothing_of_pulumi_but_in_one_function_of_the_loader() -> None:
    def outside_functions(tree: ast.Module) -> ast.Module:
        kept = [
            node
            for node in tree.body
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) and not _is_for_types_only(node)
        ]
        return ast.Module(body=kept, type_ignores=[])

    wrong = [
        str(path.relative_to(ROOT))
        for path in _files("settings")
        for name in _imports(outside_functions(_tree(path)) if path == ROOT / PULUMI_LOADER else _tree(path))
        if name.partition(".")[0].startswith("pulumi")
    ]
    assert wrong == []


def test_components_read_no_configuration_and_no_environment() -> None:
    forbidden = {"os", "dotenv", "settings.loader"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files("components")
        for name in _imports(_tree(path))
        if name in forbidden
    ]
    wrong += [
        f"{path.relative_to(ROOT)}:{node.lineno} uses {node.attr}"
        for path in _files("components")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"Config", "get_stack", "environ"}
    ]
    assert wrong == []


def test_the_program_fits_on_two_screens() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) <= PROGRAM_LINES


def test_files_are_no_longer_than_can_be_read_at_once() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in CODE
        for path in _files(package)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_file_is_named_after_nothing() -> None:
    names = {path.stem for package in CODE for path in _files(package)}
    assert {name for name in names if name in {"utils", "util", "helpers", "misc", "common"}} == set()
    assert {name for name in names if name.endswith(("_helper", "_helpers", "_utils"))} == set()


def test_every_test_file_is_collected() -> None:
    """Pytest passes by a file of another name without a word."""
    supporting = {"conftest.py", "__init__.py"}
    found = [path for path in (ROOT / "tests").rglob("*.py") if path.name not in supporting]
    with_tests = [
        p
        for p in found
        if any(isinstance(n, ast.FunctionDef) and n.name.startswith("test_") for n in ast.walk(_tree(p)))
    ]
    passed_by = [path for path in with_tests if not path.name.startswith("test_")]
    assert [str(path) for path in passed_by] == []
