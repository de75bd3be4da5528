"""A healthy installation for the doctor to look at: Label Studio as recorded, our own app, a real Redis, workers."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi.testclient import TestClient
from PIL import Image
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from label_config import render
from pal_backend.bootstrap import build_app
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.doctor import Finding, diagnose
from pal_backend.joining import ACTIONS
from pal_backend.label_studio_values import DRAFTS_FLAG
from pal_backend.media import MediaLinks
from pal_backend.pool_index import pool_file, write_lines
from pal_backend.queues import NAMES
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

RECORDINGS = Path(__file__).parent / "recordings"
LABEL_STUDIO = "http://label.example.com:8080"
PAL = "http://pal.example.com:9090"
DESK = f"{PAL}/p/digits/pairs"
LEGACY = "abcdef0123456789abcdef0123456789abcdef01"
BLOCKED = "URL resolves to a reserved network address (block: 10.0.0.0/8)"


def recorded(name: str) -> Any:
    """The body of Label Studio's answer in a recording."""
    found = json.loads((RECORDINGS / f"{name}.json").read_text())
    return found["label_studio_response"]["body"]


def jwt(token_type: str) -> str:
    """A token of the shape of Label Studio's personal and access tokens."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"token_type": token_type, "exp": 8102504073, "jti": "0"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


PERSONAL, ACCESS = jwt("refresh"), jwt("access")


def refusal(status: int, detail: str, **errors: Any) -> httpx.Response:
    """Label Studio's way to say no."""
    body: dict[str, Any] = {"id": "0", "status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}
    return httpx.Response(status, json=body | ({"validation_errors": errors} if errors else {}))


NO_SUCH_PROJECT = refusal(400, "Validation error", project=['Invalid pk "0" - object does not exist.'])


class House:
    """A healthy installation: stores, workers, Label Studio's answers, and our own app as the web process."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        settings.home.mkdir(mode=0o700)
        self.stores = stores
        self.settings = dataclasses.replace(
            settings, label_studio_url=LABEL_STUDIO, public_url=PAL, label_studio_token=PERSONAL, task_lock_seconds=600
        )
        self.credentials = Credentials.load_or_create(self.settings)
        self.now = time.time
        self.sample = self._fill_pool(settings.home / "images")
        self.project = Project(
            name="digits",
            pool=str(settings.home / "images"),
            desks=(Desk("pairs", QuestionKind.PAIR, project_id=2, backend_id=1, webhook_id=3),),
        )
        stores.projects.save(self.project)
        features = np.zeros((1, 2), np.float32)
        version = Version("v0000", (self.sample,), features, "given", made_from_answers=0, note="", metrics={})
        stores.versions("digits").write(version, None, [])
        stores.versions("digits").make_current("v0000", None)
        self.workers = {queue: self._worker(queue) for queue in NAMES}
        self.web = TestClient(build_app(self.settings), base_url=PAL)
        self.play_label_studio()

    def _fill_pool(self, folder: Path) -> str:
        folder.mkdir()
        Image.new("L", (8, 8)).save(folder / "0.png")
        sample = hashlib.sha256((folder / "0.png").read_bytes()).hexdigest()[:16]
        row = {"id": sample, "paths": ["0.png"], "width": 8, "height": 8, "missing": False}
        write_lines(self.stores.artefacts, pool_file("digits", "samples.jsonl"), [row])
        return sample

    def _worker(self, queue: str) -> Worker:
        connection = Redis.from_url(self.settings.redis_url)
        serves = Queue(queue, connection=connection, serializer=JSONSerializer)
        worker = Worker([serves], connection=connection, serializer=JSONSerializer)
        worker.register_birth()
        return worker

    def play_label_studio(self) -> None:
        """What Label Studio answers, each ready to be broken."""
        picture = MediaLinks(self.credentials.media_key, PAL).url("digits", self.sample)
        self.remote = recorded("06_project_after_connect") | {
            "label_config": render.pair_config(),
            "sampling": "Uncertainty sampling",
            "model_version": "v0000",
        }
        self.backend = recorded("07_ml_list")[0] | {"url": DESK, "auth_method": "BASIC_AUTH"}
        self.hook = recorded("05_webhooks_list_after_connect")[0] | {
            "url": f"{DESK}/webhook",
            "headers": {WEBHOOK_HEADER: self.credentials.webhook_secret},
            "send_for_all_actions": False,
            "actions": sorted(ACTIONS),
        }
        self.hooks = [self.hook]
        self.backends = [self.backend]
        self.task: dict[str, Any] | None = {"data": {"left": picture, "right": picture}}
        self.version_page = '<pre>{\n  "settings": {\n    "TASK_LOCK_TTL": "600",\n    "TEMPLATES": "[]"\n  }\n}</pre>'
        self.flags_page = f'<pre>{{\n    "{DRAFTS_FLAG}": true,\n    "other": false\n}}</pre>'
        self.page = '<link rel="stylesheet" href="/static/css/login.css"/>'
        self.page_headers = {"Content-Security-Policy-Report-Only": "img-src 'self'"}
        self.answers: dict[str, Callable[[httpx.Request], httpx.Response]] = {}

    def send(self, request: httpx.Request) -> httpx.Response:
        """Carry a request to whom it is for."""
        if request.url.host == "127.0.0.1":
            return hang_up(request)
        if request.url.host == "pal.example.com":
            headers = [(k, v) for k, v in request.headers.items() if k != "host"]
            sent = self.web.request(request.method, str(request.url), content=request.content, headers=headers)
            return httpx.Response(
                sent.status_code, content=sent.content, headers={"content-type": sent.headers["content-type"]}
            )
        assert request.url.host == "label.example.com", request.url
        path = request.url.path
        if path in self.answers:
            return self.answers[path](request)
        if path in ("/health", "/user/login/"):
            return self.open_page(path)
        if path == "/api/token/refresh":
            return httpx.Response(200, json={"access": ACCESS})
        assert request.headers["authorization"] == f"Bearer {ACCESS}", path
        return self.signed_in(request.method, path)

    def open_page(self, path: str) -> httpx.Response:
        """What Label Studio shows to everybody."""
        date = {"Date": formatdate(self.now(), usegmt=True)}
        if path == "/health":
            return httpx.Response(200, text='{"status": "UP"}', headers=date)
        return httpx.Response(200, text=self.page, headers=date | self.page_headers)

    def signed_in(self, method: str, path: str) -> httpx.Response:
        """What Label Studio shows to us."""
        if method == "POST":
            assert path in ("/api/ml", "/api/webhooks/"), path
            return NO_SUCH_PROJECT
        if path == "/version/":
            return httpx.Response(200, text=self.version_page)
        if path == "/feature-flags/":
            return httpx.Response(200, text=self.flags_page)
        bodies: dict[str, Any] = {
            "/api/current-user/whoami": {"id": 1, "email": "admin@example.com"},
            "/api/projects/2/": self.remote,
            "/api/ml": self.backends,
            "/api/webhooks/": self.hooks,
            "/api/tasks": {"tasks": [self.task] if self.task else [], "total": 1},
        }
        return httpx.Response(200, json=bodies[path])

    def findings(self, **options: Any) -> dict[str, Finding]:
        """What the doctor says, by name of the check."""
        found = diagnose(
            self.settings,
            self.credentials,
            self.stores,
            [self.project],
            transport=httpx.MockTransport(self.send),
            clock=self.now,
            **options,
        )
        assert len({finding.check for finding in found}) == len(found)
        return {finding.check: finding for finding in found}


def change(house: House, **settings: Any) -> None:
    """Other settings for the one who asks; the web process keeps its own."""
    house.settings = dataclasses.replace(house.settings, **settings)


def hang_up(request: httpx.Request) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("connection refused", request=request)


def public_elsewhere(house: House) -> None:
    """Browsers are sent to their own machine, open questions too."""
    change(house, public_url="http://127.0.0.1:9090", backend_url=PAL)
    url = MediaLinks(house.credentials.media_key, "http://127.0.0.1:9090").url("digits", house.sample)
    house.task = {"data": {"left": url}}
