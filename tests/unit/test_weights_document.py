"""What docs/weights.md shows is so: its settings are accepted, its command finds what was changed."""

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from weight_cache import fill

from components.model_card import PREFIX, card_annotations
from settings import build, load_stack_file, stack_yaml
from tests.conftest import ROOT
from tests.docs.shown_commands import all_blocks
from tests.made_stacks import sections_of
from tests.unit.cache_filler import FolderSource

pytestmark = pytest.mark.unit

DOCUMENT = "docs/weights.md"


def _shown() -> list[dict[str, Any]]:
    shown = (stack_yaml.load(b.text) for b in all_blocks() if b.document == DOCUMENT and b.language == "yaml")
    return [cast("dict[str, Any]", each) for each in shown]


def test_the_settings_that_it_shows_are_accepted() -> None:
    sections = sections_of(ROOT, "dev")
    assert _shown()
    for shown in _shown():
        parts = {key.removeprefix("vllm-platform:"): value for key, value in shown.items()}
        assert build("shown", {key: _with(value, parts.get(key)) for key, value in sections.items()}).models
        assert parts.keys() <= sections.keys()


def _with(value: Any, shown: Any) -> Any:  # noqa: ANN401 - sections of any shape
    """Put what is shown into a section; items of a list are known by their names."""
    if isinstance(shown, dict) and isinstance(value, dict):
        return {**cast("dict[str, Any]", value), **cast("dict[str, Any]", shown)}
    if isinstance(shown, list) and isinstance(value, list):
        more = {item["name"]: item for item in cast("list[dict[str, Any]]", shown)}
        names = [item["name"] for item in cast("list[dict[str, Any]]", value)]
        assert more.keys() <= set(names)
        return [{**item, **more.get(item["name"], {})} for item in cast("list[dict[str, Any]]", value)]
    return value


def test_the_command_reads_every_file(tmp_path: Path) -> None:
    (line,) = [
        line.strip() for line in (ROOT / DOCUMENT).read_text().splitlines() if "sha256sum --check --q" in line
    ]
    source = tmp_path / "source"
    source.mkdir()
    for name, content in {"config.json": b"{}", "model.safetensors": b"weights"}.items():
        (source / name).write_bytes(content)
    root = tmp_path / "claim"
    root.mkdir()
    fill(root, "MODEL/REVISION", FolderSource.of(source).bring, owner="test")
    command = line.replace("/mnt/models", str(root))

    def run() -> int:
        return subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode  # noqa: S607 - as a reader would

    assert run() == 0
    file = root / "MODEL" / "REVISION" / "model.safetensors"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_bytes(b"Weights")
    os.utime(file, ns=times)
    assert run() != 0


def test_the_card_has_what_it_lists() -> None:
    text = " ".join((ROOT / DOCUMENT).read_text().split())
    listed = text.partition(f"`{PREFIX}*`: ")[2].partition(".")[0].split(", ")
    for model in load_stack_file(ROOT / "Pulumi.prod.yaml").models:
        assert [key.removeprefix(PREFIX) for key in card_annotations(model)] == listed
