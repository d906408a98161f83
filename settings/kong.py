"""Who may come in through Kong. It can do less than Envoy Gateway, and says so when a stack file is read."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.base import Section, refusal
from settings.gateway import BODY_BYTES, ConsumerName, Origin, PublicKey
from settings.public_key import pem
from settings.scalars import ClaimName, Positive, Switch

REQUESTS_PER_MINUTE: Final = 100
_CLAIM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADDRESS: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?:\d{1,5}")
_ENVOY: Final = "leave it out, or take `gateway.kind: envoy`"


def _claim(value: str) -> str:
    if not _CLAIM.fullmatch(value):
        raise refusal("not a claim that Kong reads: none inside another", "write e.g. 'sub'")
    return value


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise refusal(
            "not the address of a Redis",
            "write host and port, e.g. 'redis.internal:6379'; a password has a key of its own",
        )
    return value


class KongTokens(Section):
    """A signed token (JWT) in `Authorization: Bearer`. It must say from when it is valid (`nbf`) and when it ends (`exp`).

    key: the one that verifies all of them. consumer_claim: who calls. longest_seconds: of a token's life.
    """

    known_mistakes: ClassVar[Mapping[str, tuple[str, str]]] = {
        "issuer": ("Kong does not look at a token's issuer: whose key it is decides", _ENVOY),
        "audiences": (
            "Kong does not look at a token's audience: a token for another service comes in",
            _ENVOY,
        ),
        "keys": (
            "Kong fetches no key set, and knows one key for each consumer",
            "write `key` with the public key in force, or take `gateway.kind: envoy`",
        ),
    }

    kind: Literal["jwt"]
    key: PublicKey
    consumer_claim: Annotated[str, AfterValidator(_claim)] = "sub"
    longest_seconds: Annotated[int, Field(strict=True, ge=60, le=31_536_000)] = 86_400

    @model_validator(mode="after")
    def _is_a_key(self) -> "KongTokens":
        fields: dict[str, Any] = self.key.model_extra or {}
        try:
            pem(self.key.kty, fields)
        except ValueError as error:
            raise refusal(
                f"its key is none: {error}", "copy the key whole, as the issuer publishes it"
            ) from None
        return self


class KongConsumer(Section):
    """One caller, by the value of its claim. requests_per_minute: None is everybody's."""

    name: ConsumerName
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    requests_per_minute: Positive | None = None


class LocalCounters(Section):
    """Each proxy counts for itself: only where there is one, in `dev`."""

    kind: Literal["local"]


class RedisCounters(Section):
    """All proxies count in a Redis that is there.

    password_secret: Secret in the models' namespace; its key `password` holds the password as JSON, so in quotation marks.
    """

    kind: Literal["redis"]
    address: Annotated[str, AfterValidator(_address)]
    tls: Switch = True
    password_secret: ClaimName | None = None


class KongLimits(Section):
    """Requests a minute of one consumer, of all models together. counters: where they are counted."""

    requests_per_minute: Positive = REQUESTS_PER_MINUTE
    counters: Annotated[LocalCounters | RedisCounters, Field(discriminator="kind")]


class KongGateway(Section):
    """consumers: nobody else may call. origins: of pages that may call from a browser. max_body_bytes: of a request."""

    kind: Literal["kong"]
    authentication: KongTokens
    consumers: Annotated[tuple[KongConsumer, ...], Field(min_length=1)]
    limits: KongLimits
    origins: tuple[Origin, ...] = ()
    max_body_bytes: Positive = BODY_BYTES
