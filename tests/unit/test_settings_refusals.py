"""Every refusal: one change to a good stack file makes one problem, with its path, reason and fix.

The cases are data: tests/data/broken/*.yaml, where base.yaml is the good file, and accepted.yaml has changes that stay
just within a limit.
"""

import io
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from ops.check import check
from settings import Problem, SettingsError, load_stack_file

BROKEN = Path(__file__).resolve().parents[1] / "data" / "broken"
BASE = yaml.safe_load((BROKEN / "base.yaml").read_text(encoding="utf-8"))
NAMESPACE = "vllm-platform:"
# What the settings must refuse at the very least; the folder holds many more.
LEAST_CASES = 40


@dataclass(frozen=True, kw_only=True)
class Case:
    """One broken stack file and the problem that it must give."""

    name: str
    changes: dict[str, Any]
    dropped: list[str]
    path: str
    reason: str
    fix: str
    problems: int

    def write(self, folder: Path) -> Path:
        document = deepcopy(BASE)
        for place in self.dropped:
            holder, key = _place(document["config"], place)
            del holder[key]
        for place, value in self.changes.items():
            holder, key = _place(document["config"], place)
            holder[key] = value
        path = folder / "Pulumi.broken.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return path


def _place(config: dict[str, Any], place: str) -> tuple[Any, Any]:
    """Find the holder of a place such as `models.0.engine.dtype`, and the last key."""
    section, *keys = place.split(".")
    if "nvidia" in keys:  # the one key that has a dot of its own
        keys = [*keys[: keys.index("nvidia")], ".".join(keys[keys.index("nvidia") :])]
    holder: Any = config
    for key in [NAMESPACE + section, *keys[:-1]] if keys else []:
        holder = holder[int(key) if isinstance(holder, list) else key]
    last = keys[-1] if keys else NAMESPACE + section
    return holder, int(last) if isinstance(holder, list) else last


def _change(name: str, changes: dict[str, Any], dropped: list[str] | None = None) -> Case:
    """Make a case that expects nothing of the problems."""
    return Case(name=name, changes=changes, dropped=dropped or [], path="", reason="", fix="", problems=0)


def _entries(file: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _cases() -> Iterator[Case]:
    for file in sorted(BROKEN.glob("*.yaml")):
        if file.name in {"base.yaml", "accepted.yaml"}:
            continue
        for entry in _entries(file):
            yield replace(
                _change(entry["name"], entry.get("set", {}), entry.get("drop")),
                path=entry["path"],
                reason=str(entry["reason"]),
                fix=str(entry["fix"]),
                problems=entry.get("problems", 1),
            )


CASES = list(_cases())
ACCEPTED = [
    _change(entry["name"], entry["set"], entry.get("drop")) for entry in _entries(BROKEN / "accepted.yaml")
]


def _problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        load_stack_file(path)
    return caught.value.problems


def test_the_unchanged_file_has_no_problem() -> None:
    assert load_stack_file(BROKEN / "base.yaml").models


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_just_within_a_limit_is_accepted(case: Case, tmp_path: Path) -> None:
    assert load_stack_file(case.write(tmp_path)).models


def test_there_are_enough_cases_with_names_of_their_own() -> None:
    assert len(CASES) >= LEAST_CASES
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_with_path_reason_and_fix(case: Case, tmp_path: Path) -> None:
    problems = _problems(case.write(tmp_path))
    text = "\n".join(map(str, problems))
    assert any(
        case.path == one.path and case.reason in one.reason and case.fix in one.fix for one in problems
    ), text
    assert len(problems) == case.problems, text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_prints_path_and_fix_and_no_traceback(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    console = Console(file=io.StringIO(), width=100)
    assert check("broken", tmp_path, console=console) == 1
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert case.path in printed
    assert case.fix in printed
    assert "Traceback" not in printed


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Five mistakes in four places, among them a broken model and a broken pool beside good ones."""
    changes = {
        "models.0.engine.max_model_length": 1,  # breaks the model's structure
        "models.1.engine.tensor_parallel_size": 3,
        "pools.0.min": "two",  # breaks the pool's structure
        "pools.3.placement.kind": "spread",
        "cluster.zones": ["us-east-1a", "us-west-2a"],
    }
    case = _change("all", changes)
    assert {problem.path for problem in _problems(case.write(tmp_path))} == {
        "models[chat].engine.max_model_length",
        "models[moe].engine.tensor_parallel_size",
        "pools[platform].min",
        "pools[a100].placement",
        "cluster.zones[1]",
    }


def test_several_mistakes_of_one_model_are_told_at_once(tmp_path: Path) -> None:
    changes = {
        "models.0.tier": "gold",
        "models.0.image.tag": "latest",
        "models.0.revision": "main",
        "models.0.x": 1,
    }
    case = _change("one", changes, ["models.0.task"])
    assert len(_problems(case.write(tmp_path))) == 5


def test_a_broken_pool_hides_no_model_and_accuses_none(tmp_path: Path) -> None:
    """A model whose pool did not parse is not told that its pool does not exist."""
    case = _change("pool", {"pools.1.max": "five"})
    assert [problem.path for problem in _problems(case.write(tmp_path))] == ["pools[a10].max"]


def test_a_model_that_is_off_needs_no_room_but_is_still_checked(tmp_path: Path) -> None:
    off = {"models.1.enabled": False, "pools.3.max": 0}
    assert load_stack_file(_change("off", off).write(tmp_path))
    wrong = {**off, "models.1.engine.tensor_parallel_size": 3, "models.1.image.tag": "latest"}
    case = _change("off", wrong)
    assert [problem.path for problem in _problems(case.write(tmp_path))] == ["models[moe].image.tag"]
    wrong.pop("models.1.image.tag")
    case = _change("off", wrong)
    assert [problem.path for problem in _problems(case.write(tmp_path))] == [
        "models[moe].engine.tensor_parallel_size"
    ]
