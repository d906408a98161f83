"""No secret in what the program asks for: planted values are looked for in everything that `vp render` writes."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from ops.program_graph import ProgramGraph
from ops.render import write
from tests.dependencies import before_urn
from tests.made_stacks import EVERYTHING, made_stack

pytestmark = pytest.mark.graph

PLANTED: Final = "planted-3f1c9d7a"
"""What every secret of a stack is, while its program runs."""
_RUN: Final = "import ops.program_graph as program; program.SECRET_PLACEHOLDER = {planted!r}; program.main()"
_STORE: Final = {"kind": "compatible", "name": "acme-store", "endpoint": "https://s3.internal"}
SECTIONS: Final[Mapping[str, Any]] = {
    "secrets": {"kind": "pulumi"},
    "observability": {"store": {**_STORE, "credentials_secret": "log-store"}},
    "database": {
        "kind": "postgres",
        "backups": {
            "kind": "s3",
            "bucket": {**_STORE, "name": "acme-backups", "credentials_secret": "backups"},
        },
    },
    "builds": {"secrets": ["hub_token"]},
    **{
        f"{name}.{key}": {"secure": "AAAB"}
        for name in ("log-store", "backups")
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    },
    "hub_token": {"secure": "AAAB"},
}


def _rendered(root: Path, stack: str, out: Path) -> Iterator[tuple[Path, str]]:
    command = [sys.executable, "-c", _RUN.format(planted=PLANTED), stack]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    graph = ProgramGraph(
        resources=tuple(answer["resources"]), outputs=answer["outputs"], warnings=tuple(answer["warnings"])
    )
    write(graph, stack, out)
    yield out, done.stderr
    for file in sorted(out.rglob("*")):
        if file.is_file():
            yield file, file.read_text(encoding="utf-8")


def test_no_planted_secret_is_in_anything_that_is_rendered(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    made_stack(root, folder, "planted", "dev", SECTIONS)
    texts = dict(_rendered(folder, "planted", tmp_path / "out"))
    hidden = [file.name for file, text in texts.items() if "[secret]" in text]
    # They were there to be found.
    assert {"secret-monitoring-log-store.yaml", "secret-rag-backups.yaml"} <= set(hidden)
    assert [str(file) for file, text in texts.items() if PLANTED in text] == []


def test_with_a_store_the_program_makes_no_secret(graph: ProgramGraph, each_stack: str) -> None:
    made = [node["name"] for node in graph.resources if node["type"] == "kubernetes:core/v1:Secret"]
    assert made == [], each_stack


def test_each_reader_waits_for_its_secrets(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    sections = {
        **EVERYTHING,
        "observability": {"store": {**_STORE, "credentials_secret": "log-store"}},
    }
    made_stack(root, folder, "vault", "prod", sections)
    command = [sys.executable, "-m", "ops.program_graph", "vault"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    nodes = json.loads(done.stdout)["resources"]
    by_name = {node["name"]: node for node in nodes}
    for reader, secret in {
        "loki-release": "log-store",
        "tempo-release": "log-store",
        "prometheus-release": "grafana-admin",
    }.items():
        waited = before_urn(nodes, by_name[reader]["urn"])
        assert by_name[f"secrets-monitoring-{secret}"]["urn"] in waited, reader
        # Whoever delivers, and the store itself.
        assert by_name["external-secrets-release"]["urn"] in waited
        assert by_name["vault-release"]["urn"] in waited
