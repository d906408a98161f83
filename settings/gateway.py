"""Who may come in through the gateway, and in what form: tokens, origins of browsers, sizes."""

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from settings.base import Section, refusal
from settings.limits import Limits, PlanName
from settings.scalars import Positive

ALGORITHMS: Final = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
}
"""By key type, what Envoy verifies with a public key (jwt_verify_lib); a shared secret is no key of a gateway."""
_NEEDED: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
_CLAIM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,3}")
_ORIGIN: Final = re.compile(r"https?://(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")
_CONSUMER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@|+-]{0,127}")
"""As the image's log takes a user (vllm_platform_middleware/record.py)."""
BODY_BYTES: Final = 20_000_000
CLOCK_SKEW_SECONDS: Final = 30


def _keys_uri(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.username:
        raise refusal(
            "not the address of a key set over TLS",
            "write e.g. 'https://login.example.com/.well-known/jwks.json'",
        )
    return value


def _claim(value: str) -> str:
    if not _CLAIM.fullmatch(value):
        raise refusal(
            "not the name of a claim", "write e.g. 'sub', or 'organization.id' for one inside another"
        )
    return value


def _origin(value: str) -> str:
    if value in {"*", "https://*", "http://*"}:
        raise refusal(
            "would let every page on the internet call the models", "name the origins of your pages"
        )
    if not _ORIGIN.fullmatch(value):
        raise refusal(
            "not the origin of a page",
            "write scheme, host and port without a path, e.g. 'https://chat.example.com'",
        )
    return value


def _consumer(value: str) -> str:
    if not _CONSUMER.fullmatch(value):
        raise refusal(
            "not an identifier that the log of requests would show",
            "use at most 128 letters, digits and . _ : @ | + -, beginning with a letter or digit",
        )
    return value


Origin = Annotated[str, AfterValidator(_origin)]
ConsumerName = Annotated[str, AfterValidator(_consumer)]


class PublicKey(Section):
    """One key of a set (RFC 7517), the public half alone. `alg` is the one algorithm that it verifies."""

    model_config = Section.model_config | {"extra": "allow"}

    kty: Literal["RSA", "EC"]
    kid: Annotated[str, Field(min_length=1)]
    alg: str

    @model_validator(mode="after")
    def _is_public_and_whole(self) -> "PublicKey":
        fields: dict[str, Any] = self.model_extra or {}
        if private := sorted(_PRIVATE & set(fields)):
            raise refusal(
                f"holds the private half too ({', '.join(private)}), and a stack file is committed",
                "remove those fields; if the file was shared, replace the key",
            )
        if self.alg not in ALGORITHMS[self.kty]:
            raise refusal(
                f"{self.alg!r} is no algorithm of a key of type {self.kty}",
                f"write `alg:` with one of: {', '.join(ALGORITHMS[self.kty])}",
            )
        if missing := [name for name in _NEEDED[self.kty] if not isinstance(fields.get(name), str)]:
            raise refusal(
                f"lacks {', '.join(missing)}, without which it is no key of type {self.kty}",
                "copy the key whole, as the issuer publishes it",
            )
        return self


class RemoteKeys(Section):
    """A key set that the issuer publishes; Envoy fetches it anew every five minutes."""

    kind: Literal["remote"]
    uri: Annotated[str, AfterValidator(_keys_uri)]


class LocalKeys(Section):
    """Keys in the stack file. Two of them are valid at once while one replaces the other."""

    kind: Literal["local"]
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1)]


Keys = Annotated[RemoteKeys | LocalKeys, Field(discriminator="kind")]


class JwtAuthentication(Section):
    """A signed token (JWT) of one issuer, in `Authorization: Bearer`. It must say when it ends.

    audiences: one of them must be in the token. consumer_claim: who calls; it reaches models and log as a header.
    """

    kind: Literal["jwt"]
    issuer: Annotated[str, Field(min_length=1)]
    audiences: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    keys: Keys
    consumer_claim: Annotated[str, AfterValidator(_claim)] = "sub"


class NoAuthentication(Section):
    """Whoever reaches the gateway may call every model: in `dev` alone, and never from the internet."""

    kind: Literal["off"]


Authentication = Annotated[JwtAuthentication | NoAuthentication, Field(discriminator="kind")]


class Consumer(Section):
    """One caller, by the value of its claim. `models`: those that it may call.

    plan: of `limits.plans`. requests_per_minute: a limit of its own, in the place of a plan.
    """

    name: ConsumerName
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    plan: PlanName | None = None
    requests_per_minute: Positive | None = None


class Gateway(Section):
    """Envoy Gateway. consumers: with any, nobody else may call; without, every valid token may call every model.

    limits: of requests; None is 100 a minute for each consumer where tokens are asked for. origins: of pages that may call from a
    browser. max_body_bytes: of a request.
    """

    kind: Literal["envoy"] = "envoy"
    authentication: Authentication = NoAuthentication(kind="off")
    consumers: tuple[Consumer, ...] = ()
    limits: Limits | None = None
    origins: tuple[Origin, ...] = ()
    max_body_bytes: Positive = BODY_BYTES
