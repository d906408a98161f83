"""What the settings of who is told of alerts mean."""

from typing import Final

_SECRETS: Final = {
    "SlackReceiver": "the address of an incoming webhook",
    "PagerDutyReceiver": "the integration key",
    "TeamsReceiver": "the address of a workflow's webhook",
    "EmailReceiver": "the password of `user`",
    "WebhookReceiver": "the address",
}

ALERTING: Final[dict[str, str]] = {
    "Observability.alerting": (
        "Who is told of alerts ([docs/observability.md](observability.md#who-is-told)); left out, nobody is."
    ),
    "Alerting.receivers": "Places that are told, each with a name.",
    "Alerting.critical": "Who is told of alerts that cannot wait.",
    "Alerting.warning": "Who is told of warnings, and of alerts with an unknown severity.",
    "Alerting.info": "Who is told of what is only worth knowing; left out, nobody.",
    "Alerting.watchdog": "Who gets the alert that always fires, and raises an alarm when it stays away.",
    "Alerting.group_by": "Labels; alerts with the same values of all of them are one message.",
    "Alerting.group_wait_seconds": "Until the first message of a group.",
    "Alerting.group_interval_minutes": "Until a message about what joined a group.",
    "Told.receivers": "Names of receivers.",
    "Told.repeat_hours": "Until it is said again, while it goes on.",
    "Heartbeat.receiver": "Name of a receiver of kind `webhook`, of its own.",
    "Heartbeat.minutes": "Between two messages.",
    "SlackReceiver.kind": "a channel of Slack's",
    "PagerDutyReceiver.kind": "a service of PagerDuty's",
    "TeamsReceiver.kind": "a channel of Microsoft Teams",
    "EmailReceiver.kind": "mail, over TLS",
    "WebhookReceiver.kind": "whatever takes Alertmanager's JSON",
    "SlackReceiver.channel": 'The channel, in quotes, e.g. `"#llm-alerts"`.',
    "EmailReceiver.to": "Addresses that it goes to.",
    "EmailReceiver.sender": "Address that it comes from.",
    "EmailReceiver.server": "Host and port, with `:` between them.",
    "EmailReceiver.user": "User of the server; left out for one that asks for no login.",
    "WebhookReceiver.url": "Address of a Service of the cluster; one outside belongs into a Secret.",
    **{f"{kind}.name": "How severities name it." for kind in _SECRETS},
    **{f"{kind}.secret": "Secret of the namespace `monitoring`." for kind in _SECRETS},
    **{f"{kind}.key": f"Key of it that holds {what}." for kind, what in _SECRETS.items()},
}
