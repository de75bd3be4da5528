"""Both kinds of Label Studio's tokens, as a request carries them. No token ever reaches a message or a log."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Generator
from typing import Any

import httpx

from pal_backend.label_studio_errors import error_for

RENEW_EARLY_S = 30.0
"""An access token lives 300 s; it is renewed this long before its end."""


def token_kind(token: str) -> str:
    """ "personal" (a JWT refresh token), "access" (what a personal token is exchanged for) or "legacy"."""
    claims = _claims(token)
    if claims is None:
        return "legacy"
    return "access" if claims.get("token_type") == "access" else "personal"


class TokenAuth(httpx.Auth):
    """Adds the ``Authorization`` header: ``Token`` for a legacy token, ``Bearer`` for what a personal one is exchanged for."""

    requires_response_body = True

    def __init__(self, url: str, token: str, clock: Callable[[], float] = time.time) -> None:
        self._url, self._token, self._clock = url, token, clock
        self._kind = token_kind(token)
        self._access = ""
        self._access_ends = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One request, with a renewal before it when the access token is old, or after it when it was refused."""
        if self._kind != "personal":
            request.headers["Authorization"] = f"{'Token' if self._kind == 'legacy' else 'Bearer'} {self._token}"
            yield request
            return
        if self._clock() >= self._access_ends - RENEW_EARLY_S:
            yield from self._renew()
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        # The clocks of the two machines may differ; a refused token is renewed once whatever its date says.
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._renew()
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _renew(self) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield httpx.Request("POST", f"{self._url}/api/token/refresh", json={"refresh": self._token})
        if response.status_code != httpx.codes.OK:
            raise error_for(
                response.status_code, body_of(response), "signing in with the personal access token", self._url
            )
        self._access = str(response.json()["access"])
        ends = (_claims(self._access) or {}).get("exp")
        self._access_ends = float(ends) if isinstance(ends, int | float) else self._clock() + 60.0


def body_of(response: httpx.Response) -> Any:
    """The JSON of an answer, None where there is none."""
    # Label Studio answers some errors with a page, and deletions with nothing.
    try:
        return response.json()
    except ValueError:
        return None


def _claims(token: str) -> dict[str, Any] | None:
    """The claims of a JWT, unverified (Label Studio verifies it), or None when it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
