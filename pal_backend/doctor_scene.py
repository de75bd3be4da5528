"""What a check of `pal doctor` sees of Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from pal_backend.credentials import Credentials
from pal_backend.doctor_parts import House
from pal_backend.label_studio_errors import detail_of, error_for
from pal_backend.label_studio_tokens import TokenAuth
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores

HTTP_SECONDS = 8.0
"""Longest wait for one answer. Label Studio itself waits up to 7 s for a backend that hangs before it lists it."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  compared with, not listened on


@dataclass(frozen=True, kw_only=True)
class Scene(House):
    """The installation with Label Studio and, for some checks, one project and one desk of it.

    Args:
        browser: sends no credential, as an annotator's browser fetches pictures.
        label_studio: signed in; without tries over again, since a check wants to see the first failure.
    """

    browser: httpx.Client
    label_studio: httpx.Client
    desk: Desk | None = None
    _answers: dict[str, httpx.Response] = field(default_factory=dict, repr=False)

    @classmethod
    def open(
        cls,
        settings: Settings,
        credentials: Credentials,
        stores: Stores,
        clock: Callable[[], float],
        transport: httpx.BaseTransport | None,
    ) -> Scene:
        """The scene without a project. ``transport`` carries every HTTP request; None for the network."""
        url = settings.label_studio_url.rstrip("/")
        auth = TokenAuth(url, credentials.label_studio_token, clock)
        return cls(
            settings=settings,
            credentials=credentials,
            stores=stores,
            queues=Queues(settings.redis_url),
            clock=clock,
            browser=httpx.Client(transport=transport, timeout=HTTP_SECONDS, trust_env=False),
            label_studio=httpx.Client(
                base_url=url, auth=auth, transport=transport, timeout=HTTP_SECONDS, trust_env=False
            ),
        )

    def at_desk(self, project: Project, desk: Desk) -> Scene:
        """The same, looking at this desk. Answers of Label Studio read before are not read again."""
        return replace(self, project=project, desk=desk)

    @property
    def here(self) -> Desk:
        """The desk of a desk's check."""
        assert self.desk is not None
        return self.desk

    @property
    def backend_url(self) -> str:
        """The ML backend's URL: of the desk, or the bare one."""
        if self.project is None or self.desk is None:
            return self.settings.backend
        return f"{self.settings.backend}/p/{self.project.name}/{self.desk.name}"

    @property
    def label_studio_url(self) -> str:
        """Where we reach Label Studio, without a slash at its end."""
        return self.settings.label_studio_url.rstrip("/")

    def read(self, path: str) -> Any:
        """JSON that Label Studio gives at ``path``; asked once, however many checks look at it.

        Raises:
            PalError: it answered something else than 200.
        """
        if path not in self._answers:
            self._answers[path] = self.label_studio.get(path)
        response = self._answers[path]
        if response.status_code != httpx.codes.OK:
            raise error_for(
                response.status_code, _body(response), f"reading {path.partition('?')[0]}", self.label_studio_url
            )
        return response.json()

    def page(self) -> httpx.Response:
        """Label Studio's sign-in page, as a browser gets it."""
        if "page" not in self._answers:
            self._answers["page"] = self.browser.get(f"{self.label_studio_url}/user/login/")
        return self._answers["page"]

    def newest_task(self) -> dict[str, Any] | None:
        """Data of the desk's newest task, or None when it has none."""
        query = json.dumps({"ordering": ["-tasks:id"]})
        path = f"/api/tasks?project={self.here.project_id}&page=1&page_size=1&query={query}"
        tasks = self.read(path).get("tasks") or [{}]
        data = tasks[0].get("data")
        return data if isinstance(data, dict) else None


def said(response: httpx.Response) -> str:
    """What Label Studio says is wrong, in one line."""
    return detail_of(_body(response))


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def is_loopback(url: str) -> bool:
    """Whether a URL leads to the machine that opens it."""
    host = urlsplit(url).hostname or ""
    return host in LOOPBACK or host.startswith("127.")


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
