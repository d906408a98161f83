"""A public key of a set (RFC 7517), and the form in which other programs take it: SubjectPublicKeyInfo, in PEM."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

_RSA: Final = "1.2.840.113549.1.1.1"
_EC: Final = "1.2.840.10045.2.1"
_CURVES: Final = {
    "P-256": ("1.2.840.10045.3.1.7", 32),
    "P-384": ("1.3.132.0.34", 48),
    "P-521": ("1.3.132.0.35", 66),
}
_SEQUENCE, _INTEGER, _BITS, _NULL, _OBJECT = 0x30, 0x02, 0x03, 0x05, 0x06
_LINE: Final = 64


def pem(kty: str, fields: Mapping[str, Any]) -> str:
    """Return a key of type RSA or EC in PEM. Raises ValueError where its numbers are none."""
    if kty == "RSA":
        numbers = _tagged(_SEQUENCE, _integer(_bytes(fields["n"])) + _integer(_bytes(fields["e"])))
        return _written(_tagged(_SEQUENCE, _object(_RSA) + _tagged(_NULL, b"")), numbers)
    curve = str(fields["crv"])
    if curve not in _CURVES:
        message = f"{curve!r} is no curve of {', '.join(_CURVES)}"
        raise ValueError(message)
    identifier, size = _CURVES[curve]
    x, y = _bytes(fields["x"]), _bytes(fields["y"])
    if max(len(x), len(y)) > size:
        message = f"its point does not lie on {curve}"
        raise ValueError(message)
    point = b"\x04" + x.rjust(size, b"\0") + y.rjust(size, b"\0")
    return _written(_tagged(_SEQUENCE, _object(_EC) + _object(identifier)), point)


def _bytes(value: object) -> bytes:
    text = str(value)
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        found = b""
    if not found:
        message = f"{text[:12]!r} is no number in base64url"
        raise ValueError(message)
    return found


def _tagged(tag: int, content: bytes) -> bytes:
    """Write a value of DER: tag, length, content."""
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - from there on a length has a length
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _integer(number: bytes) -> bytes:
    """Write a positive number: a first bit that is set would make it a negative one."""
    digits = number.lstrip(b"\0") or b"\0"
    return _tagged(_INTEGER, digits if digits[0] < 0x80 else b"\0" + digits)  # noqa: PLR2004 - the sign's bit


def _object(identifier: str) -> bytes:
    first, second, *rest = (int(part) for part in identifier.split("."))
    written = bytes([40 * first + second])
    for part in rest:
        digits = [part & 0x7F]
        while part := part >> 7:
            digits.append(part & 0x7F | 0x80)
        written += bytes(reversed(digits))
    return _tagged(_OBJECT, written)


def _written(algorithm: bytes, key: bytes) -> str:
    der = _tagged(_SEQUENCE, algorithm + _tagged(_BITS, b"\0" + key))
    text = base64.b64encode(der).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
