"""A real Label Studio for tests: its own data folder and port, one account, both kinds of token, gone at the end."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
EMAIL = "admin@example.com"
PASSWORD = "pass-word-123"
LEGACY_TOKEN = "abcdef0123456789abcdef0123456789abcdef01"
TASK_LOCK_SECONDS = 2
# Everything Label Studio bans by itself that a test could meet, but not 127.0.0.0/8: the narrow way of its SSRF rules.
BANNED = "0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16,198.18.0.0/15,224.0.0.0/4,240.0.0.0/4,::1/128,fc00::/7,fe80::/10"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class LabelStudioServer:
    """Where it is and how to sign in."""

    url: str
    data: Path
    email: str = EMAIL
    password: str = field(default=PASSWORD, repr=False)
    legacy_token: str = field(default=LEGACY_TOKEN, repr=False)
    pat: str = field(default="", repr=False)
    """Personal access token: a refresh token, made through a browser-like session."""
    task_lock_seconds: int = TASK_LOCK_SECONDS

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Client:
        """A session as a browser has it; the caller closes it (``contextlib.closing``: httpx opens a client once)."""
        return signed_in(self.url, "/user/login/", email, password)

    def second_user(self, email: str, password: str = PASSWORD) -> httpx.Client:
        """Invite a person and sign up as that person, as the team would; the session comes back signed in."""
        with closing(self.sign_in()) as admin:
            invite = admin.get("/api/invite").json()["invite_url"]
        return signed_in(self.url, invite, email, password)


@pytest.fixture(scope="session")
def label_studio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudioServer]:
    """A running Label Studio, the same for all tests of this process; the migrated database is kept between runs."""
    with required_label_studio(request, tmp_path_factory.mktemp("label-studio")) as server:
        yield server


@contextmanager
def required_label_studio(
    request: pytest.FixtureRequest,
    data: Path,
    task_lock_seconds: int = TASK_LOCK_SECONDS,
    flags: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[LabelStudioServer]:
    """A Label Studio of one's own; without one installed the test is skipped, and in CI it fails.

    ``flags`` are its feature flags that are not as they come.
    """
    if executable() is None:
        reason = "no Label Studio: `make environments` puts one into .venv-label-studio, or set LABEL_STUDIO_BIN"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    template = request.config.cache.mkdir("label-studio") / "1.23.2" if request.config.cache else None
    with running_label_studio(data, template=template, task_lock_seconds=task_lock_seconds, flags=flags) as server:
        yield server


@dataclass(frozen=True)
class Heard:
    """A request that Label Studio sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class RecordingBackend:
    """An ML backend with basic auth that answers what it must and remembers what it was asked."""

    def __init__(self, user: str = "pal", password: str = "backend-password") -> None:
        self.heard: list[Heard] = []
        self.expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.version = "v0000"
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw else None
                backend.heard.append(Heard(self.command, self.path, dict(self.headers), body))
                status, answer = backend.answer(self.path, self.headers.get("Authorization", ""), body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, authorization: str, body: Any) -> tuple[int, Any]:
        """Status and JSON for a request."""
        if path.endswith("/health"):
            return 200, {"status": "UP"}
        if path.endswith("/webhook"):
            return 201, {}
        if authorization != self.expected:
            return 401, {"detail": "no"}
        if path.endswith("/predict"):
            return 200, {
                "results": [{"result": [], "score": 1.0, "model_version": self.version} for _ in body["tasks"]]
            }
        return 200, {"model_version": self.version}

    def webhooks(self) -> list[Heard]:
        """The webhooks it was sent."""
        return [heard for heard in self.heard if heard.path.endswith("/webhook")]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def executable() -> Path | None:
    """Label Studio's command, or None: ``LABEL_STUDIO_BIN``, else the second environment."""
    path = Path(os.environ.get("LABEL_STUDIO_BIN") or ROOT / ".venv-label-studio/bin/label-studio")
    return path if path.exists() else None


@contextmanager
def running_label_studio(
    data: Path,
    *,
    template: Path | None = None,
    seconds: float = 240.0,
    task_lock_seconds: int = TASK_LOCK_SECONDS,
    flags: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[LabelStudioServer]:
    """Start Label Studio over ``data`` (copied from ``template`` when that exists, and saved there when it does not)."""
    if template is not None and template.exists():
        shutil.copytree(template, data, dirs_exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    data.mkdir(parents=True, exist_ok=True)
    with (data / "server.log").open("ab") as log:
        process = subprocess.Popen(
            _command(port),
            env={**_environment(data, url), "TASK_LOCK_TTL": str(task_lock_seconds), **flags},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call, nothing that takes a lock
        )
    try:
        _wait_until_up(url, process, data, seconds)
        if template is not None and not template.exists():
            _save_template(data, template)
        yield LabelStudioServer(
            url=url, data=data, pat=_personal_access_token(url, data), task_lock_seconds=task_lock_seconds
        )
    finally:
        _stop(process)


def free_port() -> int:
    """A port nobody listens on now (Label Studio would silently take the next one)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def signed_in(url: str, path: str, email: str, password: str) -> httpx.Client:
    """Post the sign-in (or invitation) form with its CSRF token."""
    client = httpx.Client(base_url=url, follow_redirects=True, timeout=30, verify=False)
    page = client.get(path)
    token = client.cookies["csrftoken"]
    answer = client.post(
        str(page.url),
        data={"email": email, "password": password, "csrfmiddlewaretoken": token},
        headers={"Referer": url},
    )
    assert "sessionid" in client.cookies, f"signing in at {path} failed with {answer.status_code}"
    client.headers.update({"X-CSRFToken": client.cookies["csrftoken"], "Referer": url})
    return client


def _command(port: int) -> list[str]:
    found = executable()
    assert found is not None, "no Label Studio"
    return [
        *(str(found), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)),
        *("--username", EMAIL, "--password", PASSWORD, "--user-token", LEGACY_TOKEN, "--enable-legacy-api-token"),
    ]


def _environment(data: Path, url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_HOST": url,
        "COLLECT_ANALYTICS": "False",
        "LATEST_VERSION_CHECK": "False",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LOG_LEVEL": "WARNING",
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": BANNED,
    }


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], data: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health", timeout=2, verify=False).json().get("status") == "UP":
                return
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.3)
    raise RuntimeError("Label Studio did not come up:\n" + (data / "server.log").read_text(errors="replace")[-3000:])


def _save_template(data: Path, template: Path) -> None:
    # The first start spends a minute on migrations; later starts copy their result. Renamed into place, so that a
    # second test process sees all of it or nothing.
    half = template.with_name(f"{template.name}.{os.getpid()}")
    shutil.copytree(data, half, ignore=shutil.ignore_patterns("server.log"))
    try:
        half.rename(template)
    except OSError:
        shutil.rmtree(half, ignore_errors=True)


def _personal_access_token(url: str, data: Path) -> str:
    with closing(signed_in(url, "/user/login/", EMAIL, PASSWORD)) as client:
        made = client.post("/api/token/")
        if made.status_code == 409:
            for token in client.get("/api/token/").json():
                client.post("/api/token/blacklist/", json={"refresh": token["token"]})
            made = client.post("/api/token/")
        made.raise_for_status()
        return str(made.json()["token"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def log_lines(server: LabelStudioServer, pattern: str) -> list[str]:
    """Lines of its log that match ``pattern``, for a failing test's message."""
    return [
        line
        for line in (server.data / "server.log").read_text(errors="replace").splitlines()
        if re.search(pattern, line)
    ]
