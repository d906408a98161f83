"""What Alertmanager is told: values that the chart reads, no secret in them, and the Secrets asked for where they are needed."""

import re
from pathlib import Path
from typing import Any, Final, cast

import pytest
from pydantic import TypeAdapter

from components.addons.alertmanager import SECRETS_FOLDER, alertmanager_values
from components.addons.prometheus import prometheus_values
from components.addons.table import Site
from settings import Settings, load_stack_file, stack_yaml
from settings.alerting import Alerting
from settings.checks.alerting import check
from settings.draft import Draft
from settings.observability import Kept, Observability
from tests.charts import merged, published_values, unknown_keys
from tests.made_alerting import ALERTING, SECRET

pytestmark = pytest.mark.unit

Values = dict[str, Any]
# Alertmanager's own configuration and templates: the chart hands both on as they are.
OF_ALERTMANAGER: Final = r"alertmanager\.(config|templateFiles)\..*"


def told(**changes: object) -> Alerting:
    return TypeAdapter(Alerting).validate_python(ALERTING | changes)


@pytest.fixture
def values() -> Values:
    return alertmanager_values(told())


@pytest.fixture
def prod(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


def with_alerting(settings: Settings, alerting: Alerting | None) -> Settings:
    observability = settings.observability.model_copy(update={"alerting": alerting})
    return settings.model_copy(update={"observability": observability})


def whole(alerting: Alerting | None) -> Values:
    metrics = Kept(days=15, volume="100Gi")
    return prometheus_values(
        metrics=metrics, storage_class=None, logs=True, traces=True, replicas=2, alerting=alerting
    )["alertmanager"]


def routes(values: Values, matcher: str) -> list[Values]:
    return [route for route in values["config"]["route"]["routes"] if route["matchers"] == [matcher]]


def test_every_value_is_one_that_the_chart_reads(root: Path) -> None:
    published = published_values(root, "kube-prometheus-stack")
    unknown = unknown_keys({"alertmanager": whole(told())}, published)
    assert [key for key in unknown if not re.fullmatch(OF_ALERTMANAGER, key)] == []


def test_without_receivers_the_chart_s_own_configuration_stays() -> None:
    values = whole(None)
    assert not {"config", "templateFiles"} & values.keys()
    assert "secrets" not in values["alertmanagerSpec"]


def test_replicas_and_volumes_are_those_of_before() -> None:
    with_receivers, without = whole(told()), whole(None)
    assert with_receivers["alertmanagerSpec"].pop("secrets") == ["alert-receivers", "smtp"]
    assert with_receivers["alertmanagerSpec"] == without["alertmanagerSpec"]


def test_each_secret_is_a_file_of_a_secret_that_is_mounted(values: Values) -> None:
    found: dict[str, str] = {}
    for receiver in values["config"]["receivers"]:
        for kind in receiver.keys() - {"name"}:
            (configuration,) = receiver[kind]
            found |= {key: value for key, value in configuration.items() if key.endswith("_file")}
    assert found == {
        "routing_key_file": f"{SECRETS_FOLDER}/alert-receivers/pagerduty-key",
        "api_url_file": f"{SECRETS_FOLDER}/alert-receivers/slack-url",
        "webhook_url_file": f"{SECRETS_FOLDER}/alert-receivers/teams-url",
        "auth_password_file": f"{SECRETS_FOLDER}/smtp/smtp-password",
        "url_file": f"{SECRETS_FOLDER}/alert-receivers/heartbeat-url",
    }
    mounted = values["alertmanagerSpec"]["secrets"]
    assert {Path(file).parent.name for file in found.values()} == set(mounted)


def test_all_receivers_of_a_severity_are_told_at_their_interval(values: Values) -> None:
    critical = routes(values, 'severity="critical"')
    assert [(one["receiver"], one["continue"]) for one in critical] == [("on-call", True), ("team", False)]
    assert {one["repeat_interval"] for one in critical} == {"1h"}
    warning = routes(values, 'severity!~"critical|info|none"')
    assert [one["receiver"] for one in warning] == ["team", "teams", "mail", "bridge"]
    assert routes(values, 'severity="info"') == []
    assert values["config"]["route"]["receiver"] == "nobody"


def test_info_is_told_where_the_stack_says_so() -> None:
    values = alertmanager_values(told(info={"receivers": ["team"]}))
    (route,) = routes(values, 'severity="info"')
    assert route["receiver"] == "team"


def test_the_heartbeat_is_sent_when_it_is_looked_at_more_often_than_it_is_due(values: Values) -> None:
    (route,) = routes(values, 'alertname="Watchdog"')
    assert (route["receiver"], route["group_interval"], route["repeat_interval"]) == ("heartbeat", "1m", "5m")
    (silent,) = routes(alertmanager_values(told(watchdog=None)), 'alertname="Watchdog"')
    assert silent["receiver"] == "nobody"


def test_every_rule_of_the_chart_that_mutes_is_still_there(root: Path, values: Values) -> None:
    """Helm puts a list in the place of a list."""

    def read(rules: list[Values]) -> list[Values]:
        plain = re.compile(r"\s|\"")
        return [
            {key: [plain.sub("", each) for each in words] for key, words in rule.items()} for rule in rules
        ]

    chart = published_values(root, "kube-prometheus-stack")["alertmanager"]["config"]["inhibit_rules"]
    own = read(values["config"]["inhibit_rules"])
    assert [
        rule
        for rule in read(chart)
        if rule["target_matchers"] != ["alertname=InfoInhibitor"] and rule not in own
    ] == []
    # The one that is left out mutes InfoInhibitor itself, which has the severity `none`: nobody is told of that.


def test_no_alert_mutes_one_of_another_model(values: Values) -> None:
    first = values["config"]["inhibit_rules"][0]
    assert first["equal"] == ["model"]
    for matchers in ("source_matchers", "target_matchers"):
        assert 'model!=""' in first[matchers]


def test_gpus_that_nobody_reads_mute_the_scalers_that_read_them_and_no_others() -> None:
    assert alertmanager_values(told())["config"]["inhibit_rules"][-1]["equal"] == ["namespace"]
    last = alertmanager_values(told(), ("chat", "moe"))["config"]["inhibit_rules"][-1]
    assert last["source_matchers"] == ['alertname="GpuTelemetryMissing"']
    assert last["target_matchers"] == ['alertname="ScalerWithoutMetric"', 'model=~"chat|moe"']


def test_the_models_of_prod_that_read_the_load_of_gpus(prod: Settings) -> None:
    scaled = [m.name for m in prod.enabled_models if m.autoscaling.kind == "hpa"]
    assert list(Site(settings=prod).gpu_scaled) == scaled


def test_chat_messages_say_what_is_wrong_of_which_model_and_where_the_runbook_is(values: Values) -> None:
    (text,) = values["templateFiles"].values()
    for part in ("summary", "description", "runbook_url", "Labels.model", "Labels.severity"):
        assert part in text
    by_name = {receiver["name"]: receiver for receiver in values["config"]["receivers"]}
    for name, kind in (("team", "slack_configs"), ("teams", "msteamsv2_configs")):
        assert by_name[name][kind][0]["text"] == '{{ template "platform.text" . }}'


def test_what_the_document_shows_is_read_without_a_problem(root: Path, prod: Settings) -> None:
    text = (root / "docs" / "observability.md").read_text(encoding="utf-8")
    (block,) = re.findall(
        r"^```yaml\n(vllm-platform:observability:\n.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    section = cast("Values", stack_yaml.load(block))["vllm-platform:observability"]
    alerting = TypeAdapter(Observability).validate_python(section).alerting
    assert alerting is not None
    assert check(Draft(observability=Observability(alerting=alerting))) == []
    untold = {one.name for one in with_alerting(prod, None).needed_secrets}
    assert {one.name for one in with_alerting(prod, alerting).needed_secrets} - untold == {SECRET}


def test_the_secrets_are_asked_for_where_alertmanager_runs(prod: Settings) -> None:
    before, after = prod.needed_secrets, with_alerting(prod, told()).needed_secrets
    new = {one.name: one for one in after if one not in before}
    assert sorted(new) == ["alert-receivers", "smtp"]
    assert set(new["alert-receivers"].keys) == {"pagerduty-key", "slack-url", "teams-url", "heartbeat-url"}
    assert {(one.namespace, *one.users) for one in new.values()} == {("monitoring", "prometheus")}
    assert new["smtp"].setting == "observability.alerting.receivers[mail].secret"


def test_merged_with_the_chart_s_values_only_the_program_s_routes_are_left(
    root: Path, values: Values
) -> None:
    chart = published_values(root, "kube-prometheus-stack")["alertmanager"]
    config = merged({"config": values["config"]}, {"config": chart["config"]})["config"]
    names = {receiver["name"] for receiver in config["receivers"]}
    assert "null" not in names
    assert {route["receiver"] for route in config["route"]["routes"]} <= names
