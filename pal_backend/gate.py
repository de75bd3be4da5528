"""Who may come in, and how much they may bring: credentials and bodies of requests."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any

from starlette.requests import ClientDisconnect, Request

from pal_backend import untrusted
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.errors import AccessError, InputError


class Gate:
    """Checks of a request's headers and body. Nothing of a body is read before its credential was found right."""

    def __init__(self, credentials: Credentials, max_body_bytes: int) -> None:
        self._user = credentials.basic_auth_user
        self._password = credentials.basic_auth_password
        self._secret = credentials.webhook_secret
        self._limit = max_body_bytes

    async def basic(self, request: Request) -> None:
        """Let requests with our user and password pass.

        Raises:
            AccessError: no basic auth, or another user or password.
        """
        if not self._is_basic(request):
            raise AccessError(
                "no basic auth, or a wrong one; expected the user and password of this backend; "
                "give them in Label Studio's model settings, or run `pal init`"
            )

    async def either(self, request: Request) -> None:
        """Let requests with basic auth or the webhook's secret header pass: Label Studio sends one or the other.

        Raises:
            AccessError: neither, or wrong ones.
        """
        # Both are compared whatever the first one gives, so that time tells nothing.
        if not (self._is_basic(request) | self._is_secret(request)):
            raise AccessError(
                f"neither basic auth nor the header {WEBHOOK_HEADER}, or wrong ones; expected one of the two; "
                "run `pal init`, which gives Label Studio both"
            )

    async def body(self, request: Request) -> bytes:
        """The body, in chunks or not.

        Raises:
            InputError: it is larger than allowed (413), or ended early.
        """
        declared = request.headers.get("content-length", "0")
        if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > self._limit:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._limit:
                    raise self._too_large()
                chunks.append(chunk)
        except ClientDisconnect:
            raise InputError("the body ended early; expected one JSON object") from None
        return b"".join(chunks)

    def _too_large(self) -> InputError:
        return InputError(
            f"the body is larger than {self._limit} bytes; send less, or raise PAL_MAX_BODY_BYTES", status=413
        )

    def _is_basic(self, request: Request) -> bool:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            given = b""
        right = hmac.compare_digest(given, f"{self._user}:{self._password}".encode())
        return right and bool(self._password)

    def _is_secret(self, request: Request) -> bool:
        # Starlette reads header bytes as Latin-1; going back gives the bytes that were sent.
        given = request.headers.get(WEBHOOK_HEADER, "").encode("latin-1", "replace")
        return hmac.compare_digest(given, self._secret.encode()) and bool(self._secret)


def parsed(body: bytes) -> Any:
    """The JSON of a body; an empty one counts as an empty object.

    Raises:
        InputError: not JSON.
    """
    return untrusted.decode(body) if body else {}
