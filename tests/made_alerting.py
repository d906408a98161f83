"""Receivers of every kind, as a stack file has them: at addresses of nobody."""

from typing import Any, Final

SECRET: Final = "alert-receivers"  # noqa: S105 - the name of a Secret
ALERTING: Final[dict[str, Any]] = {
    "receivers": [
        {"kind": "pagerduty", "name": "on-call", "secret": SECRET},
        {"kind": "slack", "name": "team", "channel": "#llm-alerts", "secret": SECRET},
        {"kind": "msteams", "name": "teams", "secret": SECRET},
        {
            "kind": "email",
            "name": "mail",
            "to": ["llm-platform@example.com", "llm-owners@example.com"],
            "sender": "alerts@example.com",
            "server": "smtp.example.com:587",
            "user": "alerts",
            "secret": "smtp",
        },
        {"kind": "webhook", "name": "bridge", "url": "http://bridge.monitoring.svc:8080/alerts"},
        {"kind": "webhook", "name": "heartbeat", "secret": SECRET, "key": "heartbeat-url"},
    ],
    "critical": {"receivers": ["on-call", "team"], "repeat_hours": 1},
    "warning": {"receivers": ["team", "teams", "mail", "bridge"], "repeat_hours": 12},
    "watchdog": {"receiver": "heartbeat", "minutes": 5},
}
"""The section `observability.alerting`."""
