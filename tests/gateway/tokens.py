"""Tokens, good and forged: signed here by hand, because no library signs what is wrong on purpose."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER: Final = "https://login.example.com"
AUDIENCE: Final = "llm"
LIFETIME_SECONDS: Final = 600


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(content: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(content, separators=(",", ":")).encode())


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8))


@dataclass(frozen=True)
class Issuer:
    """Has one key, whose public half the gateway knows by `kid`."""

    kid: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def public(self) -> dict[str, str]:
        """Return the public half, as a key set has it."""
        numbers = self.key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": self.kid,
            "alg": "RS256",
            "use": "sig",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:  # noqa: ANN401
        """Return a token that is good but for what is given; a claim that is None is left out."""
        signed = self.unsigned(header, **claims)
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"

    def unsigned(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:  # noqa: ANN401
        """Return what would be signed."""
        now = int(time.time())
        content = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "team-a",
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            **claims,
        }
        content = {name: value for name, value in content.items() if value is not None}
        return f"{_part({'alg': 'RS256', 'typ': 'JWT', 'kid': self.kid, **(header or {})})}.{_part(content)}"

    def signed_with_the_public_key(self) -> str:
        """Return a token whose shared secret is the public key: a verifier that takes any algorithm would believe it."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        signed = self.unsigned({"alg": "HS256"})
        return f"{signed}.{_encoded(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"

    def tampered(self) -> str:
        """Return a token with another payload under the signature of a good one."""
        header, _, signature = self.token().split(".")
        return ".".join([header, self.unsigned(sub="somebody-else").split(".")[1], signature])
