"""Test tokens for a stack of `dev` whose keys stand in its file: what an issuer would give to a consumer."""

import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ops.token_keys import ALGORITHM, NUMBER_BYTES, Key, encoded, public_half
from rehearsal.errors import UserError
from settings import Settings
from settings.gateway import Gateway, JwtAuthentication, LocalKeys

LONGEST_MINUTES: Final = 24 * 60


def mint(
    settings: Settings, key: Key, consumer: str, *, minutes: int, now: int, model: str | None = None
) -> str:
    """Return a token for a consumer, good from now (seconds since 1970) for so many minutes. Raises UserError.

    model: one that the consumer must be allowed to call.
    """
    if settings.environment != "dev":
        raise UserError(
            f"Test tokens are for stacks of `dev`, and this one is {settings.environment}: "
            "ask the issuer of its tokens."
        )
    gateway = settings.gateway
    if not isinstance(gateway, Gateway):
        raise UserError("Test tokens are for stacks whose gateway is of kind envoy.")
    authentication = gateway.authentication
    if not isinstance(authentication, JwtAuthentication):
        raise UserError("The stack asks for no tokens (gateway.authentication.kind is off).")
    kid = _known_as(key, authentication)
    _refuse_strangers(gateway, consumer, model)
    if model is not None and model not in {each.name for each in settings.enabled_models}:
        raise UserError(f"The stack serves no model {model}.")
    claims = {
        "iss": authentication.issuer,
        "aud": authentication.audiences[0],
        "iat": now,
        "exp": now + minutes * 60,
        **_nested(authentication.consumer_claim, consumer),
    }
    return _signed(key, {"alg": ALGORITHM, "typ": "JWT", "kid": kid}, claims)


def _known_as(key: Key, authentication: JwtAuthentication) -> str:
    """Return the id that the stack file has for a key."""
    if not isinstance(authentication.keys, LocalKeys):
        raise UserError(
            "The stack takes its keys from the issuer (gateway.authentication.keys.kind is remote), "
            "so only the issuer can sign: ask it, or write `keys: {kind: local, keys: [...]}`."
        )
    own = public_half(key)
    for each in authentication.keys.keys:
        fields: Mapping[str, Any] = each.model_extra or {}
        if (each.kty, each.alg, fields.get("x"), fields.get("y")) == ("EC", ALGORITHM, own["x"], own["y"]):
            return each.kid
    raise UserError(
        "The stack does not know this key: write its public half below gateway.authentication.keys.keys "
        "(`vp token keys` prints it) and run `pulumi up`."
    )


def _refuse_strangers(gateway: Gateway, consumer: str, model: str | None) -> None:
    if not gateway.consumers:
        return
    known = {each.name: each.models for each in gateway.consumers}
    if consumer not in known:
        raise UserError(f"The stack has no consumer {consumer}; it has {', '.join(sorted(known))}.")
    if model is not None and model not in known[consumer]:
        raise UserError(f"{consumer} may not call {model}, but {', '.join(known[consumer])}.")


def _nested(path: str, value: str) -> dict[str, Any]:
    """Write a claim as the token has it: `organization.id` is one inside another."""
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _signed(key: Key, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    parts = [encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    text = ".".join(parts)
    # As RFC 7518 has it: both numbers one behind the other, each of full length.
    numbers = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    signature = b"".join(number.to_bytes(NUMBER_BYTES) for number in numbers)
    return f"{text}.{encoded(signature)}"
