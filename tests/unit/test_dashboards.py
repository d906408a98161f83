"""Dashboards: what is committed is what the program deploys, and each panel keeps the rules of a dashboard that one can read.

Some of the rules are those of Grafana's own linter, which is not to be had as a module.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from components.dashboards.library import boards_of, dashboards_of
from components.dashboards.panels import SOURCE, WIDTH, Board, Panel, board_json, uid_of
from ops import dashboards
from ops.dashboards import write_dashboards
from ops.program_graph import ProgramGraph
from rehearsal.errors import UserError
from settings import Settings, load_stack_file
from settings.addons import Addons
from tests.promql import metrics_in

pytestmark = pytest.mark.unit

STACKS: Final = ("local", "dev", "staging", "prod")
OF_GRAFANA: Final = {"__rate_interval"}
OVERVIEW: Final = {
    "Requests a second": "version:vllm_platform_requests:rate5m",
    "Time to first token": "model:vllm_time_to_first_token_seconds:p99_rate5m",
    "GPU memory in use": "DCGM_FI_DEV_FB_USED",
    "Answered with 5xx": "version:vllm_platform_requests_failed:rate5m",
    "P99 of a whole request": "vllm:request_duration_seconds:p99_rate5m",
}
"""What was asked for (R26), and the series that shows it."""


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def prod(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture(scope="module")
def every_board(root: Path) -> list[Board]:
    return [board for stack in STACKS for board in boards_of(load_stack_file(root / f"Pulumi.{stack}.yaml"))]


def expressions(panel: Panel) -> str:
    return " ".join(query.expression for query in panel.queries)


def test_what_is_committed_is_what_prod_deploys(root: Path, prod: Settings) -> None:
    committed = {file.stem: file.read_text() for file in (root / "dashboards").glob("*.json")}
    assert committed == dashboards_of(prod), "run `vp dashboards prod --out dashboards`"


def test_files_are_what_the_program_deploys_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def object_of(name: str, component: str) -> dict[str, Any]:
        return {
            "urn": f"urn:pulumi:prod::vllm-platform::vllm-platform:observability:{component}$kubernetes:core/v1:ConfigMap::{name}",
            "inputs": {"metadata": {"name": f"dashboard-{name}"}, "data": {f"llm-{name}.json": f"of {name}"}},
        }

    found = ProgramGraph(
        resources=(object_of("one", "Dashboards"), object_of("two", "Other")), outputs={}, warnings=()
    )
    none = ProgramGraph(resources=(), outputs={}, warnings=())
    graphs = iter((found, none))

    def program_graph(_stack: str, _root: Path) -> ProgramGraph:
        return next(graphs)

    monkeypatch.setattr(dashboards, "program_graph", program_graph)
    (tmp_path / "stale.json").write_text("{}")
    (tmp_path / "kept.txt").write_text("")
    assert write_dashboards("prod", tmp_path, tmp_path) == [tmp_path / "one.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.txt", "one.json"]
    assert (tmp_path / "one.json").read_text() == "of one"
    with pytest.raises(UserError, match=r"stack prod has no dashboards: .*no model runs"):
        write_dashboards("prod", tmp_path, tmp_path)


def test_the_overview_has_the_panels_that_were_asked_for(prod: Settings) -> None:
    (board,) = [board for board in boards_of(prod) if board.name == "overview"]
    shown = {panel.title: expressions(panel) for panel in board.panels}
    for title, series in OVERVIEW.items():
        assert series in metrics_in(shown[title]), title


def test_every_panel_says_what_it_shows_and_what_nothing_means(every_board: list[Board]) -> None:
    for board in every_board:
        titles = [panel.title for panel in board.panels]
        assert len(titles) == len(set(titles)), board.name
        for panel in board.panels:
            assert panel.description.endswith("."), (board.name, panel.title)
            assert panel.nothing, (board.name, panel.title)
            assert panel.nothing.casefold() != "no data", (board.name, panel.title)
            # Of shares nobody knows where the end is.
            if panel.unit == "percentunit" and "in use" in panel.title:
                assert panel.most == 1, (board.name, panel.title)
            assert [limit.value for limit in panel.limits] == sorted(limit.value for limit in panel.limits)


def test_every_choice_is_used_and_every_variable_is_a_choice(every_board: list[Board]) -> None:
    for board in every_board:
        asked = " ".join(expressions(panel) for panel in board.panels)
        choices = {variable.name for variable in board.variables}
        later = " ".join(variable.values for variable in board.variables)
        used = set(re.findall(r"\$([a-z_]\w*)", asked + later)) - OF_GRAFANA
        assert used == choices, board.name
        assert choices <= set(re.findall(r"\$([a-z_]\w*)", asked)), board.name


def test_counters_are_rates_over_grafana_s_interval_and_recorded_ones_are_not_rated_again(
    every_board: list[Board],
) -> None:
    for board in every_board:
        for panel in board.panels:
            for query in panel.queries:
                text = query.expression
                raw = {
                    name
                    for name in metrics_in(text)
                    if name.endswith(("_total", "_bucket", "_sum", "_count"))
                }
                for name in raw:
                    assert re.search(rf"rate\({name}\{{[^}}]*\}}\[\$__rate_interval\]\)", text), (
                        panel.title,
                        text,
                    )
                for recorded in re.findall(r"rate\(([\w:]+)", text):
                    assert not recorded.startswith(("model:", "version:")), (panel.title, text)


def test_a_panel_of_an_alert_leads_to_its_runbook_where_it_is_published(root: Path, prod: Settings) -> None:
    books = {path.stem for path in (root / "docs" / "runbooks").glob("*.md")}
    base = "https://git.example.com/runbooks"
    published = prod.model_copy(
        update={"observability": prod.observability.model_copy(update={"runbooks": base})}
    )
    for board in boards_of(prod):
        named = [alert for panel in board.panels for alert in panel.alerts]
        assert set(named) <= books, board.name
        panels: list[dict[str, Any]] = json.loads(dashboards_of(published)[board.name])["panels"]
        links = [link["url"] for panel in panels for link in panel.get("links", [])]
        assert links == [f"{base}/{alert}.md" for alert in named]
        plain: list[dict[str, Any]] = json.loads(dashboards_of(prod)[board.name])["panels"]
        assert not any(panel.get("links") for panel in plain)


def test_every_alert_of_a_model_or_a_gpu_is_on_some_dashboard(root: Path, prod: Settings) -> None:
    shown = {alert for board in boards_of(prod) for panel in board.panels for alert in panel.alerts}
    books = {path.stem for path in (root / "docs" / "runbooks").glob("*.md")}
    # Of certificates there is no picture: the alert is all that there is to see.
    assert books - shown == {"CertificateEndsSoon"}


@pytest.mark.parametrize("stack", STACKS)
def test_grafana_is_told_units_words_for_nothing_and_places_that_do_not_overlap(
    root: Path, stack: str
) -> None:
    for text in dashboards_of(load_stack_file(root / f"Pulumi.{stack}.yaml")).values():
        made: dict[str, Any] = json.loads(text)
        places: set[tuple[int, int]] = set()
        assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
        for panel in made["panels"]:
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"]
            assert defaults["noValue"]
            assert panel["description"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {f"${{{SOURCE}}}"}
            grid = panel["gridPos"]
            mine = {
                (x, y)
                for x in range(grid["x"], grid["x"] + grid["w"])
                for y in range(grid["y"], grid["y"] + grid["h"])
            }
            assert max(x for x, _ in mine) < WIDTH
            assert not places & mine
            places |= mine
        assert made["templating"]["list"][0]["type"] == "datasource"
        assert made["refresh"]


def test_two_stacks_of_one_grafana_have_dashboards_of_their_own(prod: Settings) -> None:
    board = boards_of(prod)[0]
    long = "n" * 63
    assert len(uid_of(board, long)) <= 40
    assert uid_of(board, long) != uid_of(board, "llm-prod")
    first, second = (json.loads(board_json(board, namespace=each, runbooks=None)) for each in ("a", "b"))
    assert first["title"] != second["title"]
    assert first["uid"] != second["uid"]


def test_a_stack_shows_only_what_it_has(prod: Settings) -> None:
    bare = prod.model_copy(update={"addons": Addons(dcgm_exporter="off", envoy_gateway="off", istio="off")})
    assert {board.name for board in boards_of(prod)} - {board.name for board in boards_of(bare)} == {
        "gpus",
        "gateway",
    }
    asked = " ".join(expressions(panel) for board in boards_of(bare) for panel in board.panels)
    assert "DCGM" not in asked
    assert "envoy" not in asked


def test_without_a_price_there_is_no_cost(prod: Settings) -> None:
    elsewhere = prod.model_copy(
        update={"cluster": prod.cluster.model_copy(update={"region": "ap-southeast-4"})}
    )
    asked = " ".join(expressions(panel) for board in boards_of(elsewhere) for panel in board.panels)
    assert "cost" not in asked
    assert "cost" in " ".join(expressions(panel) for board in boards_of(prod) for panel in board.panels)


def test_where_every_model_is_stopped_there_is_nothing_to_show(prod: Settings) -> None:
    stopped = tuple(model.model_copy(update={"stopped": True}) for model in prod.models)
    assert boards_of(prod.model_copy(update={"models": stopped})) == ()
