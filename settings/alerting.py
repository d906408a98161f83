"""Who is told of an alert, by what, and how often. Secrets are named here, never written."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.base import Section, refusal
from settings.scalars import DNS_LABEL_MAX

RETENTION_HOURS: Final = 120
"""For how long Alertmanager knows whom it told of what: it can not wait for longer before it says it again."""
NOBODY: Final = "nobody"
"""The receiver of what nobody is told."""
HEARTBEAT: Final = "Watchdog"
"""kube-prometheus-stack's alert that always fires: where it ends, alerting does."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SERVER: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?:\d{1,5}")
_ADDRESS: Final = re.compile(r"[^\s@,<>]+@[^\s@,<>]+\.[^\s@,<>]+")
_SERVICE: Final = re.compile(
    r"https?://[a-z0-9]([-a-z0-9]*[a-z0-9])?\.[a-z0-9]([-a-z0-9]*[a-z0-9])?\.svc(\.cluster\.local)?"
    r"(:\d{1,5})?(/[-._~/A-Za-z0-9]*)?"
)

_PLAIN: Final = (
    "would be a secret in plain text, and a stack file is committed",
    "put it into a Secret of the namespace monitoring, and write its name: `secret: NAME`",
)


def _name(value: str) -> str:
    if value == NOBODY or len(value) > DNS_LABEL_MAX or not _NAME.fullmatch(value):
        raise refusal(
            "not a name for a receiver" if value != NOBODY else "the receiver of what nobody is told",
            "use lower-case letters, digits and '-', e.g. 'on-call'",
        )
    return value


def _secret(value: str) -> str:
    if len(value) > DNS_LABEL_MAX or not _NAME.fullmatch(value):
        raise refusal(
            "not the name of a Secret; what is secret itself does not belong into a stack file",
            "write the name of a Secret of the namespace monitoring, e.g. 'alert-receivers'",
        )
    return value


def _key(value: str) -> str:
    if not _KEY.fullmatch(value):
        raise refusal("not a key of a Secret", "use letters, digits, '-', '_' and '.', e.g. 'slack-url'")
    return value


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise refusal("not the name of a label in Prometheus", "write e.g. 'alertname' or 'model'")
    return value


def _channel(value: str) -> str:
    if value[:1] not in {"#", "@"} or len(value) == 1 or any(letter.isspace() for letter in value):
        raise refusal("not a channel of Slack's", "write it in quotes, with its '#', e.g. \"#llm-alerts\"")
    return value


def _server(value: str) -> str:
    if not _SERVER.fullmatch(value):
        raise refusal("not a mail server and its port", "write e.g. 'smtp.example.com:587'")
    return value


def _mail(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise refusal("not a mail address", "write the address alone, e.g. 'llm-platform@example.com'")
    return value


def _service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise refusal(
            "not the address of a Service of the cluster; one outside is a password, for whoever knows it may write there",
            "write e.g. 'http://bridge.monitoring.svc.cluster.local:8080/alerts', or a Secret's name: `secret: NAME`",
        )
    return value


ReceiverName = Annotated[str, AfterValidator(_name)]
SecretName = Annotated[str, AfterValidator(_secret)]
SecretKey = Annotated[str, AfterValidator(_key)]
Mail = Annotated[str, AfterValidator(_mail)]


class _Receiver(Section):
    """One place that is told. `secret`: a Secret of Alertmanager's namespace, `key` the key in it."""

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = dict.fromkeys(
        (
            *("api_url", "webhook_url", "routing_key", "service_key", "integration_key"),
            *("password", "auth_password", "token", "credentials"),
        ),
        _PLAIN,
    )

    name: ReceiverName


class SlackReceiver(_Receiver):
    """A channel. The Secret holds the address of an incoming webhook."""

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = {**_Receiver.known_mistakes, "url": _PLAIN}

    kind: Literal["slack"]
    channel: Annotated[str, AfterValidator(_channel)]
    secret: SecretName
    key: SecretKey = "slack-url"


class PagerDutyReceiver(_Receiver):
    """A service of PagerDuty's, by its Events API of version 2. The Secret holds the integration key."""

    kind: Literal["pagerduty"]
    secret: SecretName
    key: SecretKey = "pagerduty-key"


class TeamsReceiver(_Receiver):
    """A channel of Microsoft Teams. The Secret holds the address of a workflow's webhook."""

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = {**_Receiver.known_mistakes, "url": _PLAIN}

    kind: Literal["msteams"]
    secret: SecretName
    key: SecretKey = "teams-url"


class EmailReceiver(_Receiver):
    """Mail, over TLS only. user, secret: None is a server that takes it without a login."""

    kind: Literal["email"]
    to: Annotated[tuple[Mail, ...], Field(min_length=1)]
    sender: Mail
    server: Annotated[str, AfterValidator(_server)]
    user: Annotated[str, Field(min_length=1)] | None = None
    secret: SecretName | None = None
    key: SecretKey = "smtp-password"

    @model_validator(mode="after")
    def _login(self) -> "EmailReceiver":
        if (self.user is None) != (self.secret is None):
            raise refusal(
                "half of a login: a user without a password, or a password without a user",
                "write both `user` and `secret`, or neither",
            )
        return self


class WebhookReceiver(_Receiver):
    """Whatever takes Alertmanager's JSON: at a Service of the cluster by its address, elsewhere by one that a Secret holds."""

    kind: Literal["webhook"]
    url: Annotated[str, AfterValidator(_service)] | None = None
    secret: SecretName | None = None
    key: SecretKey = "webhook-url"

    @model_validator(mode="after")
    def _one_address(self) -> "WebhookReceiver":
        if (self.url is None) == (self.secret is None):
            raise refusal(
                "a webhook has one address: a Service of the cluster, or what a Secret holds",
                "write `url` or `secret`",
            )
        return self


Receiver = Annotated[
    SlackReceiver | PagerDutyReceiver | TeamsReceiver | EmailReceiver | WebhookReceiver,
    Field(discriminator="kind"),
]


class Told(Section):
    """Who is told of alerts of one severity. repeat_hours: until it is said again, while it goes on."""

    receivers: tuple[str, ...]
    repeat_hours: Annotated[int, Field(strict=True, ge=1, lt=RETENTION_HOURS)] = 4


class Heartbeat(Section):
    """Whom the alert that always fires is sent to, every so many minutes: something that tells people when it stays away."""

    receiver: str
    minutes: Annotated[int, Field(strict=True, ge=2, le=60)] = 5


class Alerting(Section):
    """`critical`, `warning`, `info`: severities. What has another one, or none, counts as a warning.

    info: None tells nobody. watchdog: None, and nobody notices that alerting itself has ended.
    group_by: labels; alerts with the same values of all of them are one message.
    group_wait_seconds: until the first message of a group. group_interval_minutes: until one about what joined it.
    """

    receivers: Annotated[tuple[Receiver, ...], Field(min_length=1)]
    critical: Told
    warning: Told
    info: Told | None = None
    watchdog: Heartbeat | None = None
    group_by: Annotated[tuple[Annotated[str, AfterValidator(_label)], ...], Field(min_length=1)] = (
        "alertname",
        "namespace",
        "model",
    )
    group_wait_seconds: Annotated[int, Field(strict=True, ge=0, le=600)] = 30
    group_interval_minutes: Annotated[int, Field(strict=True, ge=1, le=60)] = 5

    def told(self) -> Iterator[tuple[str, Told]]:
        """Yield severities that somebody is told of, and who."""
        for severity, told in (("critical", self.critical), ("warning", self.warning), ("info", self.info)):
            if told is not None:
                yield severity, told

    def secrets(self) -> Iterator[tuple[str, str, str]]:
        """Yield the receiver, Secret and key of each that needs one."""
        for each in self.receivers:
            if each.secret is not None:
                yield each.name, each.secret, each.key
