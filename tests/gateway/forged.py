"""Tokens that look like good ones, and are not."""

import time
from collections.abc import Callable
from typing import Final

from tests.gateway.tokens import Issuer

OLD: Final = Issuer("old")
NEW: Final = Issuer("new")
STRANGER: Final = Issuer("old")
"""Signs with a key of its own under an id that the gateway knows."""


def now() -> int:
    """Return the time of tokens, in seconds."""
    return int(time.time())


FORGED: Final[dict[str, Callable[[], str]]] = {
    "expired": lambda: OLD.token(exp=now() - 120),
    "without an end": lambda: OLD.token(exp=None),
    "not valid yet": lambda: OLD.token(nbf=now() + 120),
    "of another key": STRANGER.token,
    "of a key that nobody knows": Issuer("unknown").token,
    "of another issuer": lambda: OLD.token(iss="https://elsewhere.example.com"),
    "without an issuer": lambda: OLD.token(iss=None),
    "without a signature": lambda: f"{OLD.unsigned({'alg': 'none'})}.",
    "without a signature in other words": lambda: f"{OLD.unsigned({'alg': 'nOnE'})}.",
    "with the signature of another algorithm": lambda: OLD.token({"alg": "none"}),
    "signed with the public key": OLD.signed_with_the_public_key,
    "tampered with": OLD.tampered,
    "of no form": lambda: "not-a-token",
    "of dots alone": lambda: "..",
}
