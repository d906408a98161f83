"""What Alertmanager is told: who hears of which alert, which alert mutes which, and what a message says. Pure.

No secret is in it. Alertmanager reads each from a file: the Secrets are mounted into its pods.

A critical alert mutes the warnings about the same model: whoever was called looks at that model anyway. One on a GPU does not:
it lasts until somebody exchanges that GPU or loads its driver anew, and the model has others. Where nothing is known
of the GPUs, scalers that read their load have no number: one alert is enough.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from settings.alerting import (
    HEARTBEAT,
    NOBODY,
    Alerting,
    EmailReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    TeamsReceiver,
)

SECRETS_FOLDER: Final = "/etc/alertmanager/secrets"
"""Where the operator mounts the Secrets, each in a folder of its name."""
TEMPLATE_FILE: Final = "platform.tmpl"
TITLE: Final = '{{ template "platform.title" . }}'
TEXT: Final = '{{ template "platform.text" . }}'
TEMPLATES: Final = """\
{{ define "platform.title" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] \
{{ .CommonLabels.alertname }}{{ with .CommonLabels.model }} ({{ . }}){{ end }}{{ end }}

{{ define "platform.text" }}{{ range .Alerts }}{{ .Labels.severity }}{{ with .Labels.model }}, model {{ . }}{{ end }}: \
{{ .Annotations.summary }}
{{ .Annotations.description }}
{{ with .Annotations.runbook_url }}Runbook: {{ . }}
{{ end }}
{{ end }}{{ end }}

{{ define "platform.runbook" }}{{ (index .Alerts 0).Annotations.runbook_url }}{{ end }}
"""
"""Alertmanager's own messages for chats name neither what an alert says nor its runbook."""

PAGERDUTY_SEVERITY: Final = (
    '{{ if match "^(critical|error|warning|info)$" .CommonLabels.severity }}{{ .CommonLabels.severity }}'
    "{{ else }}warning{{ end }}"
)
"""PagerDuty refuses a message with any other word."""
_HEARTBEAT_MATCHER: Final = f'alertname="{HEARTBEAT}"'
# What nobody gave a severity, or one of its own, is rather told than lost. `none` are signs, for machines.
_MATCHERS: Final[Mapping[str, str]] = {
    "critical": 'severity="critical"',
    "warning": 'severity!~"critical|info|none"',
    "info": 'severity="info"',
}


def alertmanager_values(alerting: Alerting, gpu_scaled: Sequence[str] = ()) -> dict[str, Any]:
    """Return the chart's values below `alertmanager`. gpu_scaled: models whose scaler reads the load of GPUs."""
    return {
        "config": {
            "route": _route(alerting),
            "receivers": [{"name": NOBODY}, *(_receiver(each) for each in alerting.receivers)],
            "inhibit_rules": _mutes(gpu_scaled),
        },
        "templateFiles": {TEMPLATE_FILE: TEMPLATES},
        "alertmanagerSpec": {"secrets": sorted({secret for _, secret, _ in alerting.secrets()})},
    }


def _route(alerting: Alerting) -> dict[str, Any]:
    routes = [
        {
            "matchers": [_MATCHERS[severity]],
            "receiver": receiver,
            "repeat_interval": f"{told.repeat_hours}h",
            # Else the first of several would be the only one.
            "continue": receiver != told.receivers[-1],
        }
        for severity, told in alerting.told()
        for receiver in told.receivers
    ]
    return {
        "receiver": NOBODY,
        "group_by": list(alerting.group_by),
        "group_wait": f"{alerting.group_wait_seconds}s",
        "group_interval": f"{alerting.group_interval_minutes}m",
        "routes": [_heartbeat(alerting), *routes],
    }


def _heartbeat(alerting: Alerting) -> dict[str, Any]:
    if alerting.watchdog is None:
        return {"matchers": [_HEARTBEAT_MATCHER], "receiver": NOBODY}
    return {
        "matchers": [_HEARTBEAT_MATCHER],
        "receiver": alerting.watchdog.receiver,
        "group_wait": "0s",
        # It is looked at in this interval, and sent when the other is over: with two equal ones every other is left out.
        "group_interval": "1m",
        "repeat_interval": f"{alerting.watchdog.minutes}m",
    }


def _mutes(gpu_scaled: Sequence[str]) -> list[dict[str, Any]]:
    """Return which alerts mute which. Two that both lack a label have it equal: so `model` must be there."""
    some_model = 'model!=""'
    rules: list[dict[str, Any]] = [
        {
            "source_matchers": ['severity="critical"', some_model, 'alertname!~"Gpu.+"'],
            "target_matchers": ['severity="warning"', some_model],
            "equal": ["model"],
        },
        # The chart's own, of its own alerts: they would go with the rest of its configuration.
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity=~"warning|info"'],
            "equal": ["namespace", "alertname"],
        },
        {
            "source_matchers": ['severity="warning"'],
            "target_matchers": ['severity="info"'],
            "equal": ["namespace", "alertname"],
        },
        {
            "source_matchers": ['alertname="InfoInhibitor"'],
            "target_matchers": ['severity="info"'],
            "equal": ["namespace"],
        },
    ]
    if gpu_scaled:
        rules.append(
            {
                "source_matchers": ['alertname="GpuTelemetryMissing"'],
                "target_matchers": ['alertname="ScalerWithoutMetric"', f'model=~"{"|".join(gpu_scaled)}"'],
            }
        )
    return rules


def _receiver(receiver: Receiver) -> dict[str, Any]:
    file = f"{SECRETS_FOLDER}/{receiver.secret}/{receiver.key}"
    configuration: dict[str, Any]
    if isinstance(receiver, SlackReceiver):
        what = "slack_configs"
        configuration = {"api_url_file": file, "channel": receiver.channel, "title": TITLE, "text": TEXT}
    elif isinstance(receiver, TeamsReceiver):
        what = "msteamsv2_configs"
        configuration = {"webhook_url_file": file, "title": TITLE, "text": TEXT}
    elif isinstance(receiver, PagerDutyReceiver):
        what = "pagerduty_configs"
        configuration = {
            "routing_key_file": file,
            "description": TITLE,
            "severity": PAGERDUTY_SEVERITY,
            "details": {
                "model": "{{ .CommonLabels.model }}",
                "runbook": '{{ template "platform.runbook" . }}',
                "text": TEXT,
            },
        }
    elif isinstance(receiver, EmailReceiver):
        what = "email_configs"
        login = (
            {} if receiver.secret is None else {"auth_username": receiver.user, "auth_password_file": file}
        )
        configuration = {
            "to": ", ".join(receiver.to),
            "from": receiver.sender,
            "smarthost": receiver.server,
            # Its own body has all labels and annotations of each alert, the runbook among them.
            "headers": {"Subject": TITLE},
            **login,
        }
    else:
        what = "webhook_configs"
        configuration = {"url_file": file} if receiver.url is None else {"url": receiver.url}
    # Those of chats leave the end of an alert out by themselves.
    return {"name": receiver.name, what: [{**configuration, "send_resolved": True}]}
