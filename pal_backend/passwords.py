"""Passwords of a team: made at random, kept as salted scrypt hashes (RFC 7914), compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

COST, BLOCK, LANES = 2**14, 8, 1
"""scrypt's N, r and p: about 16 MB and a twentieth of a second, as RFC 7914 gives for people who wait."""
SALT_BYTES, HASH_BYTES = 16, 32
LONGEST = 1000
"""Characters of a password that are looked at all; longer ones are wrong."""


def new_password() -> str:
    """A random password of 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)


def hashed(password: str) -> str:
    """``scrypt$N$r$p$salt$hash``, salt and hash in base 64."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK, LANES)
    return "$".join(("scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(digest)))


def matches(password: str, kept: str) -> bool:
    """Whether ``kept`` is the hash of ``password``; nothing matches an empty or malformed hash."""
    try:
        name, cost, block, lanes, salt, digest = kept.split("$")
        if name != "scrypt" or len(password) > LONGEST:
            return False
        found = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(lanes))
        return hmac.compare_digest(found, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "replace"),
        salt=salt,
        n=cost,
        r=block,
        p=lanes,
        maxmem=256 * cost * block,
        dklen=HASH_BYTES,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
