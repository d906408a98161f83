"""What a benchmark run writes. Times are never asserted on: the measurements here are made up."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import middleware
from benchmarks.cases import CASES, COLD_CASES, WITHOUT_TOOLS
from benchmarks.part import Bench
from benchmarks.report import CLAIMS, SCHEMA, Claim, Measurement, Run, claims_table, outcomes
from benchmarks.scale import Scale, write_stack
from rehearsal.errors import UserError
from settings import load_stack_file
from tests.docs.shown_commands import ROOT

pytestmark = pytest.mark.unit

NAMES = sorted({name for claim in CLAIMS for name in (claim.figure, claim.baseline)})
MACHINE = {"cores": 2, "memory_mb": 8000, "kernel": "Linux 6", "processor": "any", "load_at_start": 0.1}
VERSIONS: dict[str, str] = dict.fromkeys(
    (
        "python",
        "pulumi",
        "pulumi_python",
        "provider",
        "kubernetes",
        "etcd",
        "kserve",
        "kwok",
        "vllm",
        "fastapi",
        "uvicorn",
        "uvloop",
    ),
    "1.0",
)
"""All that there are. A run names those of what ran."""


def made_up(*names: str) -> list[Measurement]:
    return [
        Measurement(name=name, what=f"what {name} is", unit="s", values=(3.0, 1.0, 2.0)) for name in names
    ]


def anything(*_: object) -> None:
    """Stands in for what a made-up run has no use for."""


def given_versions(_: object, *, engine: bool) -> dict[str, str]:  # noqa: ARG001 - its name there
    return VERSIONS


def check_shape(found: dict[str, Any]) -> None:
    assert found.keys() == {"schema", "date", "machine", "versions", "measurements", "claims", "problems"}
    assert found["schema"] == SCHEMA
    assert found["machine"].keys() == MACHINE.keys()
    assert {"python"} <= found["versions"].keys() <= VERSIONS.keys()
    for figure in found["measurements"].values():
        assert figure.keys() == {"what", "unit", "values", "median", "min", "max"}
        assert figure["min"] <= figure["median"] <= figure["max"]
        assert figure["values"]
    for claim in found["claims"]:
        assert claim.keys() == {
            "text",
            "figure",
            "baseline",
            "ratio",
            "difference",
            "aim",
            "aim_on",
            "least",
            "met",
        }
        assert {claim["figure"], claim["baseline"]} <= found["measurements"].keys()
        assert (claim["met"] is None) == (claim["aim"] is None)
    assert json.loads(json.dumps(found)) == found


def made_run(**parts: list[Measurement]) -> Run:
    return Run(date="2026-01-01T00:00:00+00:00", machine=MACHINE, versions=VERSIONS, parts=parts)


def test_a_run_is_written_in_a_fixed_shape() -> None:
    found = made_run(one=made_up(*NAMES[:3]), other=made_up(*NAMES[3:])).document()
    check_shape(found)
    assert len(found["claims"]) == len(CLAIMS)


def test_as_reference_each_part_is_kept_for_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "REFERENCE", tmp_path / "reference")
    command.REFERENCE.mkdir()
    claim, other = CLAIMS[:2]
    kept = command.REFERENCE / "other.json"
    kept.write_text("an older one")
    command.save(made_run(one=made_up(claim.figure, claim.baseline)), Console(quiet=True), reference=True)
    assert kept.read_text() == "an older one"
    command.save(
        made_run(other=made_up(other.figure, other.baseline), one=made_up(claim.figure, claim.baseline)),
        Console(quiet=True),
        reference=True,
    )
    for name, which in {"one": claim, "other": other}.items():
        found = json.loads((command.REFERENCE / f"{name}.json").read_text())
        check_shape(found)
        assert found["measurements"].keys() == {which.figure, which.baseline}


def test_the_references_have_that_shape() -> None:
    files = {file.stem: file for file in command.REFERENCE.glob("*.json")}
    assert {"middleware", "middleware-vllm"} <= files.keys() <= {*CASES, *COLD_CASES}
    for file in files.values():
        found = json.loads(file.read_text(encoding="utf-8"))
        check_shape(found)
        assert found["claims"]


def test_a_claim_needs_both_of_its_figures() -> None:
    claim = CLAIMS[0]
    assert outcomes(made_up(claim.figure)) == []
    (outcome,) = outcomes(made_up(claim.figure, claim.baseline))
    assert outcome.ratio == 1.0


def test_an_aim_is_a_figure_or_a_ratio() -> None:
    slow = Measurement(name="up_again", what="", unit="s", values=(11.0,))
    first = Measurement(name="up_first", what="", unit="s", values=(22.0,))
    (absolute,) = outcomes([slow, first])
    assert (absolute.met, absolute.ratio) == (False, 0.5)
    more = Measurement(name="up_model_50", what="", unit="ms", values=(900.0,))
    fewer = Measurement(name="up_model_5", what="", unit="ms", values=(1000.0,))
    (relative,) = outcomes([more, fewer])
    assert relative.met is True


@pytest.mark.parametrize(
    ("claim", "met"),
    [
        (Claim(text="", figure="with", baseline="without", aim=0.3, aim_on="difference"), True),
        (Claim(text="", figure="with", baseline="without", aim=0.1, aim_on="difference"), False),
        (Claim(text="", figure="with", baseline="without", aim=0.99, aim_on="ratio", least=True), True),
        (Claim(text="", figure="without", baseline="with", aim=0.99, aim_on="ratio", least=True), False),
    ],
)
def test_an_aim_is_a_difference_too_and_of_some_figures_the_least(claim: Claim, *, met: bool) -> None:
    measured = [
        Measurement(name="without", what="", unit="ms", values=(10.0,)),
        Measurement(name="with", what="", unit="ms", values=(10.2,)),
    ]
    (outcome,) = outcomes(measured, [claim])
    assert outcome.met is met


def test_what_is_claimed_of_the_middleware_is_measured() -> None:
    measured = {f"middleware_{name}" for name in middleware.PACED} | {
        f"vllm_{name}" for name in middleware.ENGINE
    }
    claimed = {name.rpartition("_")[0] for name in NAMES if name.startswith(("middleware_", "vllm_"))}
    assert claimed == measured
    assert {name.rpartition("_")[2] for name in NAMES if name.startswith("vllm_")} == {"with", "without"}


def test_every_claim_is_a_row() -> None:
    assert claims_table(made_up(*NAMES)).row_count == len(CLAIMS)


def test_a_part_that_fails_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_: Bench) -> list[Measurement]:
        raise UserError("no luck")

    monkeypatch.setattr(command, "ensure_tools", anything)
    monkeypatch.setattr(command, "versions", given_versions)
    console = Console(quiet=True)
    found = command.run({"broken": broken, "check": lambda _: made_up("check", "help")}, tmp_path, console, 1)
    assert found.problems == ["broken: no luck"]
    document = found.document()
    check_shape(document)
    assert [claim["figure"] for claim in document["claims"]] == ["check"]


def test_parts_without_tools_build_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def part(_: Bench) -> list[Measurement]:
        return made_up("middleware_first_with")

    monkeypatch.delattr(command, "ensure_tools")
    found = command.run(dict.fromkeys(WITHOUT_TOOLS, part), tmp_path, Console(quiet=True), 1)
    assert found.problems == []
    assert "kubernetes" not in found.versions
    assert CASES.keys() > WITHOUT_TOOLS


def test_a_part_that_needs_tools_builds_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(*_: object) -> None:
        raise UserError("no Go")

    monkeypatch.setattr(command, "ensure_tools", absent)
    with pytest.raises(UserError, match="no Go"):
        command.run({"check": lambda _: made_up("check")}, tmp_path, Console(quiet=True), 1)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, UserError("the tools are not there")])
def test_a_run_that_is_cut_short_writes_nothing(
    interruption: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def cut(*_: object) -> None:
        raise interruption

    monkeypatch.setattr(command, "run", cut)
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    assert command.main(["--only", "check"]) != 0
    assert list(tmp_path.iterdir()) == []


def test_every_part_can_be_chosen() -> None:
    assert not CASES.keys() & COLD_CASES.keys()
    for name in [*CASES, *COLD_CASES]:
        assert command.parser().parse_args(["--only", name]).only == [name]


@pytest.mark.parametrize("models", [5, 50])
def test_a_made_up_stack_passes_the_checks_with_its_models_and_nodes(models: int, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.local.yaml").write_bytes((ROOT / "Pulumi.local.yaml").read_bytes())
    size = Scale(models=models)
    settings = load_stack_file(write_stack(tmp_path, "local", size))
    assert len(settings.enabled_models) == models
    assert sum(pool.max for pool in settings.pools) == size.nodes
    assert yaml.safe_load((tmp_path / f"Pulumi.{size.stack}.yaml").read_text())["config"]
