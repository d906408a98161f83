"""Who is told of which alert, by the real Alertmanager of the chart's version: its own check, its routes, and its messages."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from components.addons.alertmanager import alertmanager_values
from components.telemetry.model_rules import rules_of
from rehearsal.toolchain import find_tools
from rehearsal.toolchain.gomod import required_version
from settings import load_stack_file
from settings.alerting import Alerting
from tests.charts import published_values
from tests.made_alerting import ALERTING
from tests.rehearsal.alert_server import alertmanager, write_files
from tests.rehearsal.conftest import REPOSITORY

pytestmark = pytest.mark.rehearsal

PROD: Final = load_stack_file(REPOSITORY / "Pulumi.prod.yaml")
MODEL: Final = "qwen-7b-vllm"
OTHER: Final = "qwen3-embedding"
TIMEOUT: Final = 60
# Told in the same moment as those that came: what did not come by now does not come.
SILENCE_SECONDS: Final = 2.0

Alert = dict[str, dict[str, str]]


def values(gpu_scaled: tuple[str, ...] = (), **changes: object) -> dict[str, Any]:
    return alertmanager_values(TypeAdapter(Alerting).validate_python(ALERTING | changes), gpu_scaled)


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(find_tools(("alertmanager",)).bin("amtool")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)


def alert(name: str, model: str | None = MODEL) -> Alert:
    """Return an alert of prod's rules, with what stands in it before Prometheus fills it in."""
    rules = [rule for groups in rules_of(PROD).values() for group in groups for rule in group["rules"]]
    rule = next(each for each in rules if each.get("alert") == name)
    of_model = {} if model is None else {"model": model}
    labels = {**rule["labels"], "alertname": name, "namespace": "llm-prod", **of_model}
    return {"labels": labels, "annotations": rule["annotations"]}


def heartbeat() -> Alert:
    """Return the chart's, which has this severity."""
    return {"labels": {"alertname": "Watchdog", "severity": "none"}, "annotations": {}}


def test_it_is_the_version_that_the_chart_installs() -> None:
    image = published_values(REPOSITORY, "kube-prometheus-stack")["alertmanager"]["alertmanagerSpec"]["image"]
    lock = REPOSITORY / "tools" / "alertmanager" / "go.mod"
    assert required_version(lock, "github.com/prometheus/alertmanager") == image["tag"]


def test_alertmanager_takes_the_configuration_and_its_templates(tmp_path: Path) -> None:
    done = amtool("check-config", str(write_files(values(("chat",)), tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 receivers" in done.stdout
    assert "1 templates" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("receiver: team", "receiver: nobody-s"), ("_file: ", "_fill: "), ("{{ define", "{{ defined")],
    ids=["an unknown receiver", "an unknown key", "a broken template"],
)
def test_it_refuses_a_broken_one(right: str, wrong: str, tmp_path: Path) -> None:
    write_files(values(), tmp_path)
    (broken,) = (path for path in sorted(tmp_path.iterdir()) if right in path.read_text())
    broken.write_text(broken.read_text().replace(right, wrong, 1))
    assert amtool("check-config", str(tmp_path / "alertmanager.yml")).returncode != 0


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (("severity=critical",), "on-call,team"),
        (("severity=critical", f"model={MODEL}", "alertname=TelemetryMissing"), "on-call,team"),
        (("severity=warning", f"model={MODEL}"), "team,teams,mail,bridge"),
        (("severity=info",), "nobody"),
        (("severity=none", "alertname=InfoInhibitor"), "nobody"),
        (("severity=none", "alertname=Watchdog"), "heartbeat"),
        (("severity=page",), "team,teams,mail,bridge"),
        (("alertname=SomebodyElse",), "team,teams,mail,bridge"),
    ],
)
def test_each_severity_goes_to_its_receivers(labels: tuple[str, ...], receivers: str, tmp_path: Path) -> None:
    config = write_files(values(), tmp_path)
    done = amtool("config", "routes", "test", f"--config.file={config}", *labels)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == receivers


def test_every_alert_of_prod_is_told_to_somebody(tmp_path: Path) -> None:
    config = write_files(values(), tmp_path)
    rules = [rule for groups in rules_of(PROD).values() for group in groups for rule in group["rules"]]
    severities = {rule["labels"]["severity"] for rule in rules if "alert" in rule}
    assert severities == {"critical", "warning"}
    for severity in severities:
        done = amtool("config", "routes", "test", f"--config.file={config}", f"severity={severity}")
        assert "nobody" not in done.stdout


def test_who_is_told_is_told_what_is_wrong_and_where_the_runbook_is(tmp_path: Path) -> None:
    with alertmanager(values(group_wait_seconds=0), tmp_path) as running:
        running.fire(alert("TelemetryMissing"), heartbeat())
        running.wait_for(
            {"pagerduty", "team"}, "TelemetryMissing", "docs/runbooks/TelemetryMissing.md", MODEL
        )
        running.wait_for({"heartbeat"}, "Watchdog")
        running.fire(alert("RequestsWait", OTHER))
        running.wait_for({"team", "teams", "bridge"}, "docs/runbooks/RequestsWait.md", OTHER)
    (page,) = map(json.loads, running.mailbox.texts("pagerduty"))
    assert page["payload"]["severity"] == "critical"
    assert page["payload"]["custom_details"]["model"] == MODEL
    first = json.loads(running.mailbox.texts("team")[0])["attachments"][0]
    assert first["title"] == f"[FIRING:1] TelemetryMissing ({MODEL})"
    assert f"critical, model {MODEL}: {MODEL} serves, and nothing is known of its engines" in first["text"]


@pytest.mark.parametrize("muted", [True, False], ids=["with its rules", "without them"])
def test_a_critical_alert_mutes_the_warnings_of_its_model_and_of_no_other(
    muted: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    made = values(group_wait_seconds=0)
    if not muted:
        made["config"]["inhibit_rules"] = []
    with alertmanager(made, tmp_path) as running:
        running.fire(alert("TelemetryMissing"), alert("GpuTelemetryMissing", model=None))
        running.wait_for({"pagerduty", "team"}, "TelemetryMissing", MODEL)
        # The warning without a model is muted by nothing.
        running.wait_for({"team", "teams", "bridge"}, "GpuTelemetryMissing")
        running.fire(alert("ScalerWithoutMetric"), alert("ScalerWithoutMetric", OTHER))
        running.wait_for({"team", "teams", "bridge"}, "ScalerWithoutMetric", OTHER)
        time.sleep(SILENCE_SECONDS)
        came = running.mailbox.told("ScalerWithoutMetric", f'"{MODEL}"') | running.mailbox.told(
            f"ScalerWithoutMetric ({MODEL})"
        )
    assert bool(came) is not muted, running.mailbox.came


def test_a_gpu_that_is_broken_for_weeks_mutes_no_warning_of_its_model(tmp_path: Path) -> None:
    with alertmanager(values(group_wait_seconds=0), tmp_path) as running:
        running.fire(alert("GpuXidError"))
        running.wait_for({"pagerduty", "team"}, "GpuXidError", MODEL)
        running.fire(alert("RequestsWait"))
        running.wait_for({"team", "teams", "bridge"}, "RequestsWait", MODEL)


@pytest.mark.parametrize(
    ("severity", "said"), [("page", "warning"), (None, "warning"), ("warning", "warning"), ("error", "error")]
)
def test_pagerduty_is_told_a_severity_that_it_knows(severity: str | None, said: str, tmp_path: Path) -> None:
    """Of the rules of others too, which have words of their own."""
    warned = {"receivers": ["on-call"], "repeat_hours": 12}
    receivers = [each for each in ALERTING["receivers"] if each["name"] in {"on-call", "heartbeat"}]
    fired = {**alert("RequestsWait"), "labels": {"alertname": "SomebodyElse"}}
    if severity is not None:
        fired["labels"] |= {"severity": severity}
    made = values(receivers=receivers, critical=warned, warning=warned, group_wait_seconds=0)
    with alertmanager(made, tmp_path) as running:
        running.fire(fired)
        running.wait_for({"pagerduty"}, "SomebodyElse")
    (message,) = map(json.loads, running.mailbox.texts("pagerduty"))
    assert message["payload"]["severity"] == said


def test_where_no_gpu_is_read_only_scalers_that_read_them_are_muted(tmp_path: Path) -> None:
    with alertmanager(values((MODEL,), group_wait_seconds=0), tmp_path) as running:
        running.fire(alert("GpuTelemetryMissing", model=None))
        running.wait_for({"team", "teams", "bridge"}, "GpuTelemetryMissing")
        running.fire(alert("ScalerWithoutMetric"), alert("ScalerWithoutMetric", OTHER))
        running.wait_for({"team", "teams", "bridge"}, "ScalerWithoutMetric", OTHER)
        time.sleep(SILENCE_SECONDS)
    assert running.mailbox.told(f"ScalerWithoutMetric ({MODEL})") == set()
