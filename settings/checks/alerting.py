"""Who is told of alerts: by an Alertmanager that the program runs, each receiver once, each severity by somebody."""

from collections.abc import Iterable

from settings.alerting import Alerting, WebhookReceiver
from settings.checks.naming import listed, repeated
from settings.draft import Draft
from settings.problems import Problem

_AT = "observability.alerting"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of `observability.alerting`."""
    alerting = draft.observability and draft.observability.alerting
    if alerting is None:
        return []
    return [
        *_runs(alerting, draft),
        *_names(alerting),
        *_told(alerting),
        *_heartbeat(alerting),
        *_times(alerting),
    ]


def _runs(alerting: Alerting, draft: Draft) -> Iterable[Problem]:
    """Alertmanager comes with the program's own Prometheus, and with no other."""
    if draft.asked is not None and (word := draft.asked.choice("prometheus")) != "managed":
        yield Problem(
            _AT,
            listed(each.name for each in alerting.receivers),
            f"addons.prometheus is {word}, so the program runs no Alertmanager that would tell anybody",
            "write addons.prometheus: managed, or remove it and set up the receivers where Alertmanager is",
        )


def _names(alerting: Alerting) -> Iterable[Problem]:
    names = [each.name for each in alerting.receivers]
    yield from repeated(names, f"{_AT}.receivers", "the receiver")
    used = {name for _, told in alerting.told() for name in told.receivers}
    used |= {alerting.watchdog.receiver} if alerting.watchdog is not None else set()
    for name in dict.fromkeys(names):
        if name not in used:
            yield Problem(
                f"{_AT}.receivers[{name}]",
                name,
                "is never told of anything: no severity names it",
                "name it at `critical`, `warning` or `info`, or remove it",
            )
    yield from repeated(alerting.group_by, f"{_AT}.group_by", "the label")


def _told(alerting: Alerting) -> Iterable[Problem]:
    known = [each.name for each in alerting.receivers]
    for severity, told in alerting.told():
        path = f"{_AT}.{severity}.receivers"
        if not told.receivers:
            fix = f"name one of: {listed(known)}" + (", or remove `info`" if severity == "info" else "")
            yield Problem(path, list(told.receivers), "nobody would be told of alerts of this severity", fix)
        yield from repeated(told.receivers, path, "the receiver")
        for name in dict.fromkeys(told.receivers):
            yield from _known(path, name, known)


def _known(path: str, name: str, known: Iterable[str]) -> Iterable[Problem]:
    if name not in known:
        yield Problem(
            path, name, "no receiver has this name", f"use one of: {listed(known)}, or add it to `receivers`"
        )


def _heartbeat(alerting: Alerting) -> Iterable[Problem]:
    """Only something that counts notices that messages stay away; people do not."""
    if alerting.watchdog is None:
        return
    path, name = f"{_AT}.watchdog.receiver", alerting.watchdog.receiver
    yield from _known(path, name, [each.name for each in alerting.receivers])
    for receiver in alerting.receivers:
        if receiver.name == name and not isinstance(receiver, WebhookReceiver):
            yield Problem(
                path,
                name,
                f"is of kind {receiver.kind}: a message every few minutes that all is well is one that nobody misses",
                "name a receiver of kind webhook: a service that raises an alarm when the messages end",
            )
    if any(name in told.receivers for _, told in alerting.told()):
        yield Problem(
            path,
            name,
            "is told of alerts too, and each of them would count as a sign that all is well",
            "give the heartbeat a receiver of its own",
        )


def _times(alerting: Alerting) -> Iterable[Problem]:
    if alerting.group_wait_seconds > alerting.group_interval_minutes * 60:
        yield Problem(
            f"{_AT}.group_wait_seconds",
            alerting.group_wait_seconds,
            f"the first message of a group would come later than a second one, after {alerting.group_interval_minutes} min",
            "wait for some seconds, e.g. 30",
        )
