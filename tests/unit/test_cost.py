"""What stacks cost: the known case, the three columns, the budget, the age of the lists, and what a change costs."""

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from ops.cost.command import Output, cost
from ops.cost.difference import as_values, difference
from ops.cost.report import report
from ops.cost.tables import markdown_difference
from settings import Settings, SettingsError, build, load_stack_file
from settings.cost_lines import COLUMNS, always
from settings.estimate import budget_problem, estimate
from settings.facts import Prices, prices
from settings.loader import load_stack_text
from settings.price_list import price_warnings, service_prices

pytestmark = pytest.mark.unit

HOURS = 730
GIB_MONTH, G5, C6I = 0.08, 1.212, 0.68
# Ten GPU nodes, five CPU nodes, ten volumes of a TB each, on a cluster that somebody else runs.
KNOWN_CASE: dict[str, Any] = {
    "environment": "dev",
    "cluster": {
        "kind": "existing",
        "kubeconfig": "~/.kube/config",
        "context": "company",
        "region": "us-east-1",
        "zones": ["us-east-1a", "us-east-1b"],
    },
    "registry": {"kind": "external", "host": "harbor.internal"},
    "pools": [
        {
            "kind": kind,
            "name": name,
            "instance_type": instance,
            "min": count,
            "max": count,
            "provisioner": {"kind": "managed"},
            "capacity": {"kind": "on-demand"},
        }
        for kind, name, instance, count in (
            ("gpu", "a10", "g5.2xlarge", 10),
            ("cpu", "platform", "c6i.4xlarge", 5),
        )
    ],
    "cost": {"volumes": [{"name": "data", "count": 10, "size": "1000Gi"}]},
}


def changed(stack: Path, **sections: object) -> Settings:
    """A stack with other sections than in its file."""
    document: dict[str, Any] = yaml.safe_load(stack.read_text(encoding="utf-8"))
    own = {
        key.removeprefix("vllm-platform:"): value
        for key, value in document["config"].items()
        if key.startswith("vllm-platform:")
    }
    return build("changed", {**own, **sections}, over_budget=True)


def known_case(models: list[Any]) -> Settings:
    return build("known", {**KNOWN_CASE, "models": models})


@pytest.fixture
def model() -> dict[str, Any]:
    base = yaml.safe_load(
        (Path(__file__).resolve().parents[1] / "data" / "broken" / "base.yaml").read_text(encoding="utf-8")
    )
    return {**base["config"]["vllm-platform:models"][0], "autoscaling": {"kind": "fixed", "replicas": 3}}


def test_the_known_case_costs_the_sum_of_its_parts(model: dict[str, Any]) -> None:
    found = estimate(known_case([model]))
    parts = 10 * G5 * HOURS + 5 * C6I * HOURS + 10 * 1000 * GIB_MONTH
    assert parts == pytest.approx(12_130, abs=1)
    assert found.total.values == pytest.approx((parts, parts, parts), rel=0.01)
    assert {line.group for line in found.lines} == {"nodes", "volumes"}


def test_a_share_of_the_nodes_is_each_model_s(model: dict[str, Any]) -> None:
    share = estimate(known_case([model])).models[0]
    assert share.replica_monthly == pytest.approx(G5 * HOURS)
    assert share.monthly is not None
    assert share.monthly.values == pytest.approx([3 * G5 * HOURS] * 3)


def test_two_replicas_of_four_gpus_are_one_node_of_eight(root: Path) -> None:
    found = estimate(load_stack_file(root / "Pulumi.prod.yaml"))
    nodes = next(line for line in found.lines if line.name.startswith("a100"))
    share = next(one for one in found.models if one.pool == "a100")
    assert nodes.quantity == always(1)
    assert share.replica_monthly == pytest.approx(
        prices().on_demand["us-east-1"]["p4d.24xlarge"] * HOURS / 2 + 4
    )


def test_a_million_tokens_cost_what_a_busy_replica_costs_meanwhile(root: Path) -> None:
    said = {"tokens_per_second": 1000.0, "kind": "measured", "source": "a load test"}
    stack = changed(
        root / "Pulumi.prod.yaml", cost={"models": [{"name": "qwen-7b-vllm", "throughput": said}]}
    )
    share = next(one for one in estimate(stack).models if one.name == "qwen-7b-vllm")
    a_node_s_disk = 100 * GIB_MONTH / HOURS
    assert share.per_million_tokens == pytest.approx((G5 + a_node_s_disk) * 1000 / 3600)


def test_expected_nodes_follow_expected_replicas_and_stay_within_the_pool(root: Path) -> None:
    stack = changed(root / "Pulumi.prod.yaml", cost={"models": [{"name": "qwen-7b-vllm", "replicas": 7}]})
    nodes = next(line for line in estimate(stack).lines if line.name.startswith("a10,"))
    assert nodes.quantity.values == (3, 7, 24)


def test_a_pool_s_own_price_takes_the_place_of_the_list_s(root: Path) -> None:
    stack = changed(root / "Pulumi.prod.yaml", cost={"pools": [{"name": "a10-spot", "hourly": 0.5}]})
    nodes = next(line for line in estimate(stack).lines if line.name.startswith("a10-spot, g5"))
    assert nodes.price == 0.5 * HOURS


def test_a_stopped_model_has_no_nodes(root: Path) -> None:
    document = yaml.safe_load((root / "Pulumi.prod.yaml").read_text(encoding="utf-8"))
    models = document["config"]["vllm-platform:models"]
    next(one for one in models if one["name"] == "qwen3-235b-a22b")["stopped"] = True
    found = estimate(changed(root / "Pulumi.prod.yaml", models=models))
    assert [line.name for line in found.lines if line.group == "nodes" and "a100" in line.name] == []


def test_usage_is_counted_as_stated_and_only_then(root: Path) -> None:
    stack = root / "Pulumi.prod.yaml"
    usage = {
        "requests": 10.0,
        "answers_gib": 100.0,
        "nat_gib": 50.0,
        "shared_gib": 20.0,
        "bucket_gib": 1000.0,
    }
    before, after = (estimate(changed(stack, cost={"usage": one})).total for one in ({}, usage))
    more = 10 * 0.60 + 10 * 1.00 + 100 * 0.085 + 50 * 0.045 + 20 * 0.30 + 1000 * 0.023
    assert [b - a for a, b in zip(before.values, after.values, strict=True)] == pytest.approx([more] * 3)


def test_a_stack_above_its_budget_is_refused_when_it_is_loaded(root: Path, tmp_path: Path) -> None:
    text = (root / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    spent = estimate(load_stack_file(root / "Pulumi.prod.yaml")).total.high
    for monthly, refused in ((spent + 1, False), (spent - 1, True)):
        (tmp_path / "Pulumi.prod.yaml").write_text(
            text.replace("monthly: 60000", f"monthly: {monthly}"), encoding="utf-8"
        )
        if refused:
            with pytest.raises(
                SettingsError, match=r"(?s)cost\.budget\.monthly: the stack costs .*a100.*fix: ask"
            ):
                load_stack_file(tmp_path / "Pulumi.prod.yaml")
        else:
            load_stack_file(tmp_path / "Pulumi.prod.yaml")


def test_the_budget_s_own_column_is_compared(root: Path) -> None:
    def problem(column: str) -> object:
        budget = {"monthly": 30000.0, "of": column}
        return budget_problem(changed(root / "Pulumi.prod.yaml", cost={"budget": budget}))

    assert [problem(column) is None for column in COLUMNS] == [True, True, False]
    assert "(max)" in str(problem("max"))


def test_a_price_that_is_not_known_is_in_no_sum_and_keeps_no_budget(model: dict[str, Any]) -> None:
    cluster = {**KNOWN_CASE["cluster"], "region": "eu-west-1", "zones": ["eu-west-1a", "eu-west-1b"]}
    config = {**KNOWN_CASE, "cluster": cluster, "models": [model]}
    found = estimate(build("elsewhere", config))
    assert found.total == always(0)
    assert len(found.unpriced) == 3
    budgeted = {**config, "cost": {"budget": {"monthly": 1_000_000.0}}}
    with pytest.raises(
        SettingsError, match=r"no list price in eu-west-1(.|\n)*vp prices refresh --region eu-west-1"
    ):
        build("elsewhere", budgeted)


def test_lists_older_than_ninety_days_warn_each() -> None:
    fresh, old = prices().date, prices().date + dt.timedelta(days=91)
    services = service_prices().model_copy(update={"date": fresh})
    assert price_warnings(fresh + dt.timedelta(days=90), services=services) == []
    said = price_warnings(old, services=services)
    assert ["service_prices.yaml" in one for one in said] == [False, True]
    assert all("more than 90 days old" in one and "vp prices refresh" in one for one in said)


def printed(
    stack: str, root: Path, output: Output = "text", *, today: dt.date | None = None
) -> tuple[int, str]:
    file = io.StringIO()
    status = cost(stack, root, output, today=today, console=Console(file=file, width=200))
    return status, file.getvalue()


def test_the_command_prints_lines_models_dates_and_warnings(root: Path) -> None:
    status, text = printed("prod", root, today=dt.date(2027, 1, 1))
    assert status == 0
    for part in (
        "NAT gateways",
        "internal load balancer",
        "firewall rules",
        "EKS",
        "loki",
        "a million tokens",
    ):
        assert part in text
    assert "list prices: instances 2026-07-20, services 2024-07-01" in text
    assert text.count("warning: ") == 2


def test_a_stack_above_its_budget_is_shown_and_is_an_error(root: Path, tmp_path: Path) -> None:
    text = (root / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    (tmp_path / "Pulumi.prod.yaml").write_text(
        text.replace("monthly: 60000", "monthly: 100"), encoding="utf-8"
    )
    status, shown = printed("prod", tmp_path)
    assert status == 1
    assert "the stack costs" in shown
    assert "NAT gateways" in shown


def test_json_and_markdown_say_the_same_sum(root: Path) -> None:
    found = json.loads(printed("dev", root, "json")[1])
    assert found["total"]["expected"] == pytest.approx(
        sum(line["monthly"]["expected"] for line in found["lines"])
    )
    assert f"| sum |  |  |  | {found['total']['min']:,.2f} |" in printed("dev", root, "markdown")[1]


def test_a_change_shows_the_lines_that_differ_and_no_other(root: Path) -> None:
    path, today = root / "Pulumi.prod.yaml", dt.date(2026, 8, 1)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    models = document["config"]["vllm-platform:models"]
    models[2]["autoscaling"]["min"] = 3
    before = report("prod", load_stack_file(path), today)
    after = report("prod", changed(path, models=models), today)
    found = difference("prod", before, after)
    assert [change.name for change in found.lines] == [
        "nodes: a10-spot, g5.2xlarge",
        "disks: a10-spot, 100 GiB a node",
    ]
    assert [change.name for change in found.models] == ["qwen3-embedding"]
    more = G5 * HOURS + 100 * GIB_MONTH
    assert [found.total.by(column) for column in COLUMNS] == pytest.approx([more, more, 0])
    assert f"| sum | {before['total']['expected']:,.2f} |" in markdown_difference(found)


def test_each_side_of_a_change_has_its_own_prices(root: Path) -> None:
    stack, today = load_stack_file(root / "Pulumi.dev.yaml"), dt.date(2026, 8, 1)
    dearer = Prices.model_validate(
        {
            **prices().model_dump(),
            "on_demand": {"us-east-1": {**prices().on_demand["us-east-1"], "c6i.2xlarge": 1}},
        }
    )
    found = difference("dev", report("dev", stack, today), report("dev", stack, today, dearer))
    assert [change.name for change in found.lines] == ["nodes: system, c6i.2xlarge"]
    assert found.total.by("max") == pytest.approx(2 * (1 - 0.34) * HOURS)


def elsewhere(stack: Path) -> Settings:
    """A stack moved to a region that has no prices."""
    text = stack.read_text(encoding="utf-8")
    return load_stack_text(stack.stem.partition(".")[2], text.replace("us-east-1", "eu-west-1"))


class TestUnpriced:
    """What has no list price is neither nothing nor a saving."""

    today = dt.date(2026, 8, 1)

    def reports(self, root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        path = root / "Pulumi.staging.yaml"
        here, there = (report("staging", one, self.today) for one in (load_stack_file(path), elsewhere(path)))
        return here, there

    @pytest.mark.parametrize("way", ["away", "back"])
    def test_a_difference_is_not_known_where_a_side_has_no_price(self, root: Path, way: str) -> None:
        here, there = self.reports(root)
        found = difference("staging", *((here, there) if way == "away" else (there, here)))
        assert there["unpriced"]
        nodes = [change for change in found.lines if change.name.startswith("nodes: ")]
        assert nodes
        assert {change.by(column) for change in (*nodes, found.total) for column in COLUMNS} == {None}
        side = "after" if way == "away" else "before"
        text = markdown_difference(found)
        assert f"no list price, and in no sum: {', '.join(there['unpriced'])} ({side})" in text
        sums = [f"{one['total']['expected']:,.2f}" for one in (here, there)]
        both = " | ".join(sums if way == "away" else reversed(sums))
        assert f"| sum | {both} | not known | not known | not known |" in text
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {nodes[0].name} |")]
        assert row.count("not known") == 4

    def test_a_new_line_without_a_price_is_shown(self, root: Path) -> None:
        _, there = self.reports(root)
        without = {**there, "lines": there["lines"][1:], "unpriced": there["unpriced"][1:]}
        assert there["lines"][0]["monthly"] is None
        found = difference("staging", without, there)
        name = f"{there['lines'][0]['group']}: {there['lines'][0]['name']}"
        assert [change.name for change in found.lines] == [name]
        text = markdown_difference(found)
        assert f"| {name} | - | not known | not known | not known | not known |" in text
        gone = markdown_difference(difference("staging", there, without))
        assert f"| {name} | not known | - | not known | not known | not known |" in gone

    def test_what_has_no_price_on_either_side_and_is_the_same_is_no_difference(self, root: Path) -> None:
        _, there = self.reports(root)
        found = difference("staging", there, there)
        assert found.lines == found.models == ()
        assert found.total.by("expected") == 0
        more = [{**there["lines"][0], "quantity": dict.fromkeys(COLUMNS, 99)}, *there["lines"][1:]]
        other = difference("staging", there, {**there, "lines": more})
        assert len(other.lines) == 1
        assert other.total.by("expected") is None

    def test_as_values_they_are_told_apart(self, root: Path) -> None:
        here, there = self.reports(root)
        total = as_values(difference("staging", here, there))["difference"]
        assert total["total"]["more"] == dict.fromkeys(COLUMNS)
        nodes = next(line for line in total["lines"] if line["name"].startswith("nodes: "))
        assert (nodes["after"], nodes["unpriced"]) == (None, ["after"])
