"""Signing in to Label Studio: both kinds of token, retries that cannot post twice, and errors that say what to do.

``label-studio-sdk`` and our own calls share one :class:`httpx.Client`, so that tokens are renewed in one place. Proxies of the environment are not used. No token ever reaches a message or a log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import httpx

from pal_backend.errors import AccessError, UnavailableError
from pal_backend.label_studio_errors import error_for, unreachable
from pal_backend.label_studio_tokens import TokenAuth, body_of

if TYPE_CHECKING:
    from label_studio_sdk.client import LabelStudio as Sdk

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Seconds; an import of a few hundred tasks takes less than five."""
ATTEMPTS = 3
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RetryingTransport(httpx.BaseTransport):
    """Tries again where that is safe: always when nothing was sent, and idempotent requests after any failure.

    A POST whose answer got lost may have been carried out, so it is never repeated (``label-studio-sdk`` would).
    """

    def __init__(
        self, inner: httpx.BaseTransport, *, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._inner, self._attempts, self._sleep = inner, attempts, sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``, at most ``attempts`` times."""
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                response = self._inner.handle_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if last:
                    raise
            except httpx.TransportError:
                if last or request.method not in IDEMPOTENT:
                    raise
            else:
                # SQLite answers 500 "database is locked" when it is busy, proxies answer 502 to 504.
                if last or response.status_code < 500 or request.method not in IDEMPOTENT:
                    return response
                response.close()
            self._sleep(0.5 * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the transport inside."""
        self._inner.close()


class Session:
    """A signed-in connection. Nothing is sent until the first call.

    Raises:
        AccessError: ``token`` is empty.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not token:
            raise AccessError(
                "there is no Label Studio token; make one in Label Studio under Account & Settings, "
                "Personal Access Token, and set LABEL_STUDIO_API_KEY to it"
            )
        self.url = url.rstrip("/")
        # Reading the certificates takes longer than most calls, and plain HTTP (redirects are not followed) needs none.
        transport = transport or httpx.HTTPTransport(verify=not self.url.startswith("http://"))
        self._http = httpx.Client(
            base_url=self.url,
            auth=TokenAuth(self.url, token, clock),
            transport=RetryingTransport(transport, sleep=sleep),
            timeout=TIMEOUT,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    @cached_property
    def sdk(self) -> Sdk:
        """The official client over this connection; use it inside :meth:`calling`."""
        from label_studio_sdk.client import LabelStudio as Sdk

        # Our client signs in and tries again; left to itself the SDK would repeat a POST that was carried out.
        made: Sdk = cast("Any", Sdk)(
            base_url=self.url, api_key="set-by-the-http-client", httpx_client=self._http, max_retries=0
        )
        return made

    def authorization(self) -> str:
        """The ``Authorization`` header that opens Label Studio now; a token that is exchanged is renewed when it is old.

        Raises:
            PalError: Label Studio cannot be reached, or refuses the token.
        """
        doing = "signing in"
        try:
            answer = self._http.get("/api/version")
        except httpx.TransportError as problem:
            raise unreachable(problem, doing, self.url) from problem
        if not answer.is_success:
            raise error_for(answer.status_code, body_of(answer), doing, self.url)
        return str(answer.request.headers["Authorization"])

    @contextmanager
    def calling(self, doing: str) -> Iterator[None]:
        """Turn the failures of SDK calls inside into errors of ours; ``doing`` says what is tried."""
        from label_studio_sdk.core.api_error import ApiError

        try:
            yield
        except ApiError as problem:
            raise error_for(problem.status_code or 500, problem.body, doing, self.url) from None
        except httpx.TransportError as problem:
            raise unreachable(problem, doing, self.url) from problem

    def send(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """One call; returns the JSON body, or None where there is none.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: below the base URL.
            doing: what is tried, for the message of an error.
            body: JSON to send.
            query: query parameters.
            timeout: seconds; None for the usual.
        """
        limit = httpx.USE_CLIENT_DEFAULT if timeout is None else httpx.Timeout(timeout, connect=5.0)
        try:
            response = self._http.request(method, path, json=body, params=query, timeout=limit)
        except httpx.TransportError as problem:
            raise unreachable(problem, doing, self.url) from problem
        if not response.is_success:
            raise error_for(response.status_code, body_of(response), doing, self.url)
        return body_of(response)

    def read(self, method: str, path: str, doing: str, **sent: Any) -> Mapping[str, Any]:
        """As :meth:`send`, where a JSON object has to come back.

        Raises:
            UnavailableError: something else came back.
        """
        found = self.send(method, path, doing, **sent)
        if not isinstance(found, Mapping):
            raise UnavailableError(
                f"{self.url} answered with something that is no JSON object while {doing}; is LABEL_STUDIO_URL right?"
            )
        return found
