"""How much one consumer may ask of the gateway, and where its requests are counted."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal
from settings.builds import BaseImage
from settings.scalars import DNS_LABEL_MAX, Positive, Switch

REQUESTS_PER_MINUTE: Final = 100
STORE_IMAGE: Final = "valkey/valkey:9.1.2"
"""The release that the tests run; a test compares."""
_ADDRESS: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?:(?P<port>\d{1,5})")
_SECRET: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_PLAN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PORTS: Final = 65535


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if found is None or not 0 < int(found["port"]) <= _PORTS:
        raise refusal(
            "not the address of a Redis",
            "write host and port without a scheme, e.g. 'redis.internal:6379'; a password has a key of its own",
        )
    return value


def _secret(value: str) -> str:
    if not _SECRET.fullmatch(value):
        raise refusal("not the name of a Secret", "write its name alone, e.g. 'redis-password'")
    return value


def _plan(value: str) -> str:
    if not _PLAN.fullmatch(value) or len(value) > DNS_LABEL_MAX:
        raise refusal(
            "not the name of a plan", "use lower-case letters, digits and '-', at most 63, e.g. 'batch'"
        )
    return value


PlanName = Annotated[str, AfterValidator(_plan)]


class Plan(Section):
    """What each consumer of the plan may ask for, of all models together."""

    name: PlanName
    requests_per_minute: Positive


class ManagedStore(Section):
    """A Redis (Valkey) that the program runs beside the rate limiter. It keeps nothing: after a restart it counts from zero."""

    kind: Literal["managed"]
    image: BaseImage = STORE_IMAGE


class ExternalStore(Section):
    """A Redis that is there already.

    password_secret: a Secret beside the rate limiter (namespace of Envoy Gateway) with the key `password`: a password, or `user:password`.
    """

    kind: Literal["external"]
    address: Annotated[str, AfterValidator(_address)]
    tls: Switch = True
    password_secret: Annotated[str, AfterValidator(_secret)] | None = None


Store = Annotated[ManagedStore | ExternalStore, Field(discriminator="kind")]


class RequestLimits(Section):
    """Requests a minute of one consumer, counted over all replicas of the gateway and over all models.

    plans: other limits, which consumers name. store: where the counters are; None is a managed one. when_down: what happens to
    requests while nobody can count them; None refuses them.
    """

    kind: Literal["requests"]
    requests_per_minute: Positive = REQUESTS_PER_MINUTE
    plans: tuple[Plan, ...] = ()
    store: Store | None = None
    when_down: Literal["refuse", "pass"] | None = None


class NoLimits(Section):
    """Everybody who comes in may ask as often as the models answer."""

    kind: Literal["off"]


Limits = Annotated[RequestLimits | NoLimits, Field(discriminator="kind")]
