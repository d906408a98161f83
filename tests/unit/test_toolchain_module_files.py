"""Files that a tool takes out of a Go module: scripts beside its binary, assets, and what its main.go embeds."""

import json
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.errors import UserError
from rehearsal.toolchain.tool import ModuleFile, Tool
from tests.unit.toolchain_project import TinyProject

MODULE = "example.test/data"
VERSION = "v1.0.0"
FILES = {
    "go.mod": f"module {MODULE}\n\ngo 1.27\n",
    "data.go": "package data\n",
    "schema.json": '{"name": "was"}',
    "bin/script": "#!/bin/sh\necho script\n",
    "stages/fast/pod.yaml": "kind: Stage\n",
}
EMBEDDING = """package main

import _ "embed"

//go:embed data.json
var data string

func main() { println(data) }
"""


@pytest.fixture
def proxy(tmp_path: Path, project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module proxy of files with one module. Returns the lines of go.sum that pin it."""
    folder = tmp_path / "proxy" / MODULE / "@v"
    folder.mkdir(parents=True)
    (folder / f"{VERSION}.info").write_text(json.dumps({"Version": VERSION}))
    (folder / f"{VERSION}.mod").write_text(FILES["go.mod"])
    with zipfile.ZipFile(folder / f"{VERSION}.zip", "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"{MODULE}@{VERSION}/{name}", text)
    monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
    monkeypatch.setenv("GONOSUMDB", MODULE)
    # In a cache of its own, so that the build has to download again.
    environment = os.environ | {
        "GOMODCACHE": str(tmp_path / "first"),
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
    }
    command = [str(project.go.binary), "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    answer = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    sums = json.loads(answer.stdout)
    return f"{MODULE} {VERSION} {sums['Sum']}\n{MODULE} {VERSION}/go.mod {sums['GoModSum']}\n"


def add_tool(project: TinyProject, source: str, sums: str) -> Tool:
    """A tool whose go.mod requires the module."""
    tool = replace(project.add_tool("hello", source), module=MODULE, released_as="", stamps=())
    folder = project.places.modules / "hello"
    (folder / "go.mod").write_text(
        f"module vllm-platform/tools/hello\n\ngo 1.27\n\nrequire {MODULE} {VERSION}\n"
    )
    (folder / "go.sum").write_text(sums)
    return tool


def test_embedded_files_get_their_version_and_replacements(project: TinyProject, proxy: str) -> None:
    file = ModuleFile(
        module=MODULE,
        source="schema.json",
        embedded_as="data.json",
        versioned=True,
        replacements=(("was", "is"),),
    )
    project.build(replace(add_tool(project, EMBEDDING, proxy), embedded=(file,)))
    said = subprocess.run(
        [str(project.places.links / "hello")], capture_output=True, text=True, check=True
    ).stderr
    assert json.loads(said) == {"name": "is", "version": "1.0.0"}
    assert not (project.places.modules / "hello" / "data.json").exists()


def test_a_replacement_that_no_longer_fits_is_a_failure(project: TinyProject, proxy: str) -> None:
    file = ModuleFile(
        module=MODULE, source="schema.json", embedded_as="data.json", replacements=(("gone", "new"),)
    )
    tool = replace(add_tool(project, EMBEDDING, proxy), embedded=(file,))
    with pytest.raises(UserError, match="'gone'"):
        project.build(tool)


def test_scripts_stand_executable_beside_the_real_binary_and_assets_keep_their_path(
    project: TinyProject, proxy: str
) -> None:
    plain = "package main\n\nfunc main() {}\n"
    assets = (
        ModuleFile(module=MODULE, source="bin/script", beside_binaries=True),
        ModuleFile(module=MODULE, source="stages"),
    )
    toolchain = project.build(replace(add_tool(project, plain, proxy), assets=assets))
    beside = toolchain.bin("hello").resolve().parent / "script"
    assert subprocess.run([str(beside)], capture_output=True, text=True, check=True).stdout == "script\n"
    assert (toolchain.assets("hello") / "stages" / "fast" / "pod.yaml").read_text() == "kind: Stage\n"


def test_a_tool_without_a_program_is_its_files_and_compiles_nothing(project: TinyProject, proxy: str) -> None:
    asset = ModuleFile(module=MODULE, source="stages")
    tool = replace(add_tool(project, "package main\n", proxy), binaries=(), assets=(asset,))
    toolchain = project.build(tool)
    assert (toolchain.assets("hello") / "stages" / "fast" / "pod.yaml").read_text() == "kind: Stage\n"
    assert project.builds() == 0


def test_a_module_that_is_not_the_pinned_one_is_refused_in_words(project: TinyProject, proxy: str) -> None:
    wrong = proxy.replace("h1:", "h1:AAAA", 1)
    asset = ModuleFile(module=MODULE, source="stages")
    tool = replace(add_tool(project, "package main\n\nfunc main() {}\n", wrong), assets=(asset,))
    with pytest.raises(UserError, match=r"not the one that go\.sum pins"):
        project.build(tool)


def test_a_proxy_that_cannot_be_reached_is_named(
    project: TinyProject, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    asset = ModuleFile(module=MODULE, source="stages")
    tool = replace(add_tool(project, "package main\n\nfunc main() {}\n", proxy), assets=(asset,))
    with pytest.raises(UserError, match="the Go module proxy cannot be reached"):
        project.build(tool)
