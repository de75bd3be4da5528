"""The web process as it really runs."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pal_backend import bootstrap
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.conftest import free_port
from tests.web_side import PROJECT, SAMPLES, WebSide

SERVE = "from pal_backend.bootstrap import serve; from pal_backend.settings import Settings; serve(Settings.from_env())"


@contextmanager
def served(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """The web process, ready to answer; killed if the test leaves it running."""
    environment = {**os.environ, **settings.to_env(), "PYTHONPATH": str(Path(__file__).parents[1])}
    child = subprocess.Popen([sys.executable, "-c", SERVE], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", settings.port)) == 0:
                    break
            time.sleep(0.1)
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stderr is not None:
            child.stderr.close()


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """The web side of a project with a pool, on a port of its own."""
    side = WebSide(replace(settings, port=free_port()), stores, tmp_path / "pool")
    side.fill_pool()
    return side


def test_the_process_serves_and_ends_when_asked(web: WebSide) -> None:
    """One process answers on its port, names neither server nor picture links in its log, and ends at SIGTERM."""
    link = bootstrap.MediaLinks(web.credentials.media_key, web.settings.public).url(PROJECT, SAMPLES[0])
    event = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}], "project": {"id": 2}}
    with served(web.settings) as child:
        health = httpx.get(f"{web.settings.public}/health")
        assert (health.status_code, "server" in health.headers) == (200, False)
        assert httpx.get(link).headers["content-type"] == "image/png"
        url = f"{web.settings.public}/p/{PROJECT}/pairs/webhook"
        assert httpx.post(url, json=event, headers=web.secret).status_code == 201
        assert "torch" not in Path(f"/proc/{child.pid}/maps").read_text()
        child.send_signal(signal.SIGTERM)
        _, log = child.communicate(timeout=20)
    assert "sig=" not in log
    assert web.credentials.webhook_secret not in log
    assert len(web.stream()) == 1


def test_a_caller_that_hangs_up_leaves_nothing(web: WebSide) -> None:
    """A body that ends early is nobody's event, and the server goes on."""
    head = (
        f"POST /p/{PROJECT}/pairs/webhook HTTP/1.1\r\nHost: h\r\nX-PAL-Secret: {web.credentials.webhook_secret}\r\n"
        'Content-Length: 100\r\n\r\n{"action": "START_'
    )
    with served(web.settings):
        with socket.create_connection(("127.0.0.1", web.settings.port)) as connection:
            connection.sendall(head.encode())
        assert httpx.get(f"{web.settings.public}/health").status_code == 200
    assert web.stream() == []


def test_the_app_is_built_from_the_environment(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """`uvicorn --factory` needs no more than the environment, and building connects to nothing."""
    for variable, value in {**web.settings.to_env(), "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}.items():
        monkeypatch.setenv(variable, value)
    assert bootstrap.app_from_environment().title == "PAL for Label Studio"
