"""Builds the web side's objects: the one place where they meet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from pal_backend.app import create_app
from pal_backend.choosing import Operator
from pal_backend.credentials import Credentials
from pal_backend.doctor_parts import House
from pal_backend.door import Door
from pal_backend.gate import Gate
from pal_backend.label_studio_people import People
from pal_backend.media import MediaFiles, MediaLinks
from pal_backend.page_views import PageViews
from pal_backend.pages import page_routes
from pal_backend.queues import Queues
from pal_backend.service import Service
from pal_backend.settings import Settings
from pal_backend.store.connection import connect
from pal_backend.store.stores import Stores

REDIS_SECONDS = 2.0
"""Longest wait for one reply of Redis: Label Studio gives up on a webhook after 1 second, so a worker's patience is no use."""
FORM_BYTES = 64_000
"""Largest form of a page; whoever signs in has shown no credential yet."""
SHUTDOWN_SECONDS = 5
"""How long requests under way may take to end when the server is stopped."""


def build_service(settings: Settings) -> Service:
    """The service that these settings name. Connects to nothing yet.

    Raises:
        ConfigError: a setting or the file of secrets cannot be used.
    """
    credentials = Credentials.load_or_create(settings)
    stores = Stores.open(settings, timeout_s=REDIS_SECONDS)
    return Service(
        stores=stores,
        queues=Queues(connect(settings.redis_url, text=False, timeout_s=REDIS_SECONDS)),
        links=MediaLinks(credentials.media_key, settings.public),
        files=MediaFiles(stores.artefacts, time.monotonic),
        operator=Operator.of(settings, credentials),
    )


def build_app(settings: Settings, closing: Callable[[], bool] = lambda: False) -> FastAPI:
    """The ASGI app that these settings name: Label Studio's protocol and the team's pages.

    Args:
        settings: of this process.
        closing: whether the server is about to end.

    Raises:
        ConfigError: a setting or the file of secrets cannot be used.
    """
    credentials = Credentials.load_or_create(settings)
    gate = Gate(credentials, settings.max_body_bytes)
    app = create_app(build_service(settings), gate, time.time)
    stores = Stores.open(settings, timeout_s=REDIS_SECONDS)
    queues = Queues(connect(settings.redis_url, text=False, timeout_s=REDIS_SECONDS))
    house = House(settings=settings, credentials=credentials, stores=stores, queues=queues, clock=time.time)
    views = PageViews(stores, queues, Operator.of(settings, credentials), house, time.time)
    # Read at each request: a new password counts at once.
    secure, by_token = settings.public.startswith("https://"), settings.label_studio_sign_in == "yes"
    door = Door(lambda: Credentials.kept(settings), stores.logins, secure=secure, by_token=by_token)
    people = People(settings.label_studio_url, stores.projects)
    forms = Gate(credentials, FORM_BYTES)
    app.include_router(
        page_routes(views, door, forms, MediaFiles(stores.artefacts, time.monotonic), people, closing=closing)
    )
    return app


def app_from_environment() -> FastAPI:
    """For ``uvicorn --factory pal_backend.bootstrap:app_from_environment``."""
    return build_app(Settings.from_env())


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, in this process."""
    closing = threading.Event()
    _Server(server_config(settings, build_app(settings, closing.is_set)), closing).run()


def server_config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """How an app is served."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level.lower(),
        access_log=False,  # it would write media signatures
        proxy_headers=bool(settings.trusted_proxies),  # else nobody is believed about who the client is
        forwarded_allow_ips=[part.strip() for part in settings.trusted_proxies.split(",")],
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class _Server(uvicorn.Server):
    """Tells live pages that it is about to end: they would keep it from ending."""

    def __init__(self, config: uvicorn.Config, closing: threading.Event) -> None:
        super().__init__(config)
        self._closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self._closing.set()
        super().handle_exit(sig, frame)
