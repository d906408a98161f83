"""Key pairs for test tokens: the private half for whoever mints, the public half as a stack file has it."""

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rehearsal.errors import UserError

ALGORITHM: Final = "ES256"
NUMBER_BYTES: Final = 32
"""Of a coordinate, and of each half of a signature, on the curve P-256."""
_CURVE: Final = ec.SECP256R1

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """Make a key of the curve P-256."""
    return ec.generate_private_key(_CURVE())


def public_half(key: Key) -> dict[str, str]:
    """Return the public half as a JWK. Its id is its thumbprint (RFC 7638), so the private half needs no name beside it."""
    numbers = key.public_key().public_numbers()
    point = {
        name: encoded(value.to_bytes(NUMBER_BYTES)) for name, value in (("x", numbers.x), ("y", numbers.y))
    }
    members = {"crv": "P-256", "kty": "EC", **point}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return {
        **members,
        "kid": encoded(hashlib.sha256(canonical.encode()).digest()),
        "alg": ALGORITHM,
        "use": "sig",
    }


def encoded(data: bytes) -> str:
    """Write bytes as tokens and keys do."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private_half(key: Key) -> str:
    """Return the private half as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def write_private(key: Key, path: Path) -> None:
    """Write the private half to a new file that nobody else can read. Raises UserError where git could take it up."""
    folder = path.parent
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: make it, or name another one.")
    if _git_would_see(path):
        raise UserError(
            f"{path} would be in a git work tree, where a private key is one `git add` away from everybody: "
            "name a file outside of it, or one that git ignores."
        )
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UserError(f"{path} is there already: whoever has tokens of it would be locked out.") from None
    with os.fdopen(file, "w", encoding="ascii") as opened:
        opened.write(private_half(key))


def read_private(path: Path) -> Key:
    """Read a private half. Raises UserError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The private key can not be read: {path}: {error.strerror}. `vp token keys` makes one."
        ) from None
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UserError(f"{path} holds no private key (PEM, without a password).") from None
    if not isinstance(key, Key) or not isinstance(key.curve, _CURVE):
        raise UserError(f"{path} is no key of the curve P-256, as `vp token keys` makes them.")
    return key


def _git_would_see(path: Path) -> bool:
    """Whether a file would lie in a work tree of git that does not ignore it. Without git, any work tree counts."""
    whole = path.absolute()
    if not any((folder / ".git").exists() for folder in whole.parents):
        return False
    command = ["git", "-C", str(whole.parent), "check-ignore", "--quiet", str(whole)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode != 0
    except FileNotFoundError:
        return True
