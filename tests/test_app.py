import ast
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from label_config.render import THUMBNAIL_PIXELS
from pal_backend import app as app_module
from pal_backend.app import create_app
from pal_backend.bootstrap import build_app
from pal_backend.gate import Gate
from pal_backend.media import MediaLinks
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.conftest import free_port
from tests.web_side import PROJECT, SAMPLES, WebSide, png

DESK = f"/p/{PROJECT}/pairs"
DELETED = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}], "project": {"id": 2}}
GUARDED = [
    ("POST", "/setup"),
    ("POST", "/predict"),
    ("POST", "/webhook"),
    ("POST", "/train"),
    ("GET", "/versions"),
    ("GET", "/metrics"),
    ("POST", f"{DESK}/setup"),
    ("POST", f"{DESK}/predict"),
    ("POST", f"{DESK}/webhook"),
    ("POST", f"{DESK}/train"),
    ("GET", f"{DESK}/versions"),
    ("GET", f"/p/{PROJECT}/status"),
]
DEEP = b'{"action": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """The web side with a model version and a pool."""
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    side.fill_pool()
    return side


# ---- who may come in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", f"{DESK}/health", "/p/nobody/nothing/health"])
def test_health_is_open_and_says_only_up(web: WebSide, path: str) -> None:
    """Anybody may ask for health, at any URL, and learns nothing by it."""
    response = web.client.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "UP", "model_class": "PAL"})
    assert web.client.head(path).status_code == 200


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic cGFsOg=="},
        {"Authorization": "Basic " + "A" * 1000},
        {"Authorization": "Bearer token"},
        {"X-PAL-Secret": ""},
        {"X-PAL-Secret": "wrong"},
        {b"X-PAL-Secret": b"\xff\xfe"},
    ],
)
def test_without_our_credential_nobody_comes_in(web: WebSide, method: str, path: str, headers: Any) -> None:
    """No credential, or a wrong one: 401, one sentence, nothing stored."""
    response = web.client.request(method, path, content=json.dumps(DELETED), headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Basic realm="PAL"'
    assert set(response.json()) == {"detail"}
    assert web.stream() == []


@pytest.mark.parametrize("path", [path for _, path in GUARDED if not path.endswith("webhook")])
def test_the_webhook_secret_opens_the_webhook_alone(web: WebSide, path: str) -> None:
    """The header is in every webhook's settings, which members can read; it opens nothing else."""
    assert web.client.request("POST", path, json={}, headers=web.secret).status_code in (401, 405)
    assert web.client.request("GET", path, headers=web.secret).status_code in (401, 405)


def test_the_webhook_takes_either_credential(web: WebSide) -> None:
    """START_TRAINING comes with basic auth, the other events with the header."""
    assert web.client.post(f"{DESK}/webhook", json=DELETED, auth=web.basic).status_code == 201
    assert web.client.post(f"{DESK}/webhook", json=DELETED, headers=web.secret).status_code == 201
    assert len(web.stream()) == 2


def test_empty_secrets_open_nothing(web: WebSide) -> None:
    """An installation whose secrets are empty lets nobody in, not everybody."""
    from pal_backend.credentials import Credentials

    closed = TestClient(create_app(web.service, Gate(Credentials(basic_auth_user=""), 1000), lambda: 0.0))
    assert closed.post(f"{DESK}/webhook", json=DELETED, headers={"X-PAL-Secret": ""}, auth=("", "")).status_code == 401


# ---- what they bring -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["setup", "predict", "webhook", "train"])
@pytest.mark.parametrize(
    "body", [b"not json", b"\xff", b"[NaN]", DEEP, b'{"action": ' + b"9" * 5000 + b"}", b'"a"', b"[]"]
)
def test_bad_bodies_get_one_sentence(web: WebSide, route: str, body: bytes) -> None:
    """What is not a JSON object of the right kind is 400 in words; nothing is stored."""
    response = web.client.post(f"{DESK}/{route}", content=body, auth=web.basic)
    assert response.status_code == 400
    assert "expected" in response.json()["detail"]
    assert web.stream() == []


def test_bodies_over_the_limit_are_refused(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    """A body larger than allowed is 413, whether it says so or comes in chunks; the last allowed byte still passes."""
    from dataclasses import replace

    web = WebSide(replace(settings, max_body_bytes=1000), stores, tmp_path / "pool")
    fitting = json.dumps(DELETED).encode().ljust(1000)

    def chunks(body: bytes) -> Iterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    for body, status in ((fitting, 201), (fitting + b" ", 413)):
        for content in (body, chunks(body)):
            response = web.client.post(f"{DESK}/webhook", content=content, auth=web.basic)
            assert response.status_code == status, response.text
    assert response.json()["detail"] == "the body is larger than 1000 bytes; send less, or raise PAL_MAX_BODY_BYTES"
    assert len(web.stream()) == 2


def test_an_endless_length_is_no_way_in(web: WebSide) -> None:
    """A Content-Length beyond every number does not break the check."""
    headers = {"Content-Length": "9" * 4000}
    assert web.client.post(f"{DESK}/webhook", content=b"{}", auth=web.basic, headers=headers).status_code in (400, 413)


def test_secrets_and_bodies_are_not_logged(web: WebSide, caplog: pytest.LogCaptureFixture) -> None:
    """The log of good and bad requests holds ids, never a credential or what somebody sent."""
    caplog.set_level(logging.DEBUG, "pal_backend")
    setup = {"project": "2.1", "schema": "<View/>", "hostname": "h", "access_token": "hunter2"}
    assert web.client.post(f"{DESK}/setup", json=setup, auth=web.basic).status_code == 200
    web.client.post("/setup", json={**setup, "project": "9.1"}, auth=web.basic)
    web.client.post(f"{DESK}/webhook", json={**DELETED, "token": "hunter2"}, headers=web.secret)
    web.client.post(f"{DESK}/webhook", json="hunter2", headers={"X-PAL-Secret": "hunter2"})
    web.client.post(f"{DESK}/webhook", json={"action": ["hunter2"]}, headers=web.secret)
    assert "Deleted kept as" in caplog.text
    for secret in ("hunter2", web.basic[1], web.credentials.webhook_secret):
        assert secret not in caplog.text


# ---- errors --------------------------------------------------------------------------------------------------------------


def test_unknown_places_are_404(web: WebSide) -> None:
    """A project or desk that is not there is said so."""
    for path in ("/p/nobody/pairs", f"/p/{PROJECT}/nothing"):
        for route in ("setup", "webhook", "predict"):
            response = web.client.post(f"{path}/{route}", json={"tasks": [], "action": "X"}, auth=web.basic)
            assert response.status_code == 404, response.text
    assert web.client.get("/nothing").status_code == 404
    assert web.client.get("/p/%2e%2e/status", auth=web.basic).status_code in (400, 404)


def test_another_label_studio_project_is_a_conflict(web: WebSide) -> None:
    """A backend URL given to a second Label Studio project is refused at set-up, where somebody sees it."""
    response = web.client.post(f"{DESK}/setup", json={"project": "9.1"}, auth=web.basic)
    assert response.status_code == 409
    assert "pal init" in response.json()["detail"]


def test_no_redis_is_503(tmp_path: Path) -> None:
    """Without Redis an event is not promised: 503, in words, and health is still up."""
    settings = Settings(home=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0", basic_auth_password="x")
    client = TestClient(build_app(settings), raise_server_exceptions=False)
    response = client.post(f"{DESK}/webhook", json=DELETED, auth=("pal", "x"))
    assert response.status_code == 503
    assert "no Redis answers" in response.json()["detail"]
    assert client.get("/health").status_code == 200


def test_no_traceback_leaves(web: WebSide) -> None:
    """A fault of ours is 500 with one sentence; the traceback stays in the log."""

    class Broken:
        statuses = staticmethod(list)

        def record(self, *_: object) -> None:
            raise RuntimeError("secret detail")

    gate = Gate(web.credentials, 1000)
    client = TestClient(create_app(Broken(), gate, lambda: 0.0), raise_server_exceptions=False)  # type: ignore[arg-type]
    response = client.post("/webhook", json=DELETED, auth=web.basic)
    assert response.status_code == 500
    assert response.json() == {"detail": "something went wrong here; the server's log says what"}


# ---- routes --------------------------------------------------------------------------------------------------------------


def test_training_is_asked_for_in_two_ways(web: WebSide) -> None:
    """START_TRAINING and /train both answer 201 with a job id and leave the same event."""
    for path, body in (("webhook", {"action": "START_TRAINING"}), ("train", {"project": "2.1"})):
        response = web.client.post(f"{DESK}/{path}", json=body, auth=web.basic)
        assert response.status_code == 201
        assert response.json()["job"].startswith("train-")
    assert [type(event).__name__ for _, event in web.stream()] == ["TrainingRequested"] * 2


def test_extra_parameters_outside_the_list_are_a_bad_request(web: WebSide, caplog: pytest.LogCaptureFixture) -> None:
    """The log says why, since Label Studio does not show it; what the recordings hold passes."""
    body = {"project": "2.1", "extra_params": {"backbone": "os:system"}}
    response = web.client.post(f"{DESK}/setup", json=body, auth=web.basic)
    assert response.status_code == 400
    assert "expected one that the operator allows: small" in response.json()["detail"]
    assert "expected one that the operator allows: small" in caplog.text
    body["extra_params"] = {"a": 1, "recipe": "gps-simclr"}
    assert web.client.post(f"{DESK}/setup", json=body, auth=web.basic).status_code == 200
    shown = web.client.get("/p/rec/status", auth=web.basic).json()["learns"]
    assert shown["choice"]["recipe"] == "gps-simclr"
    assert shown["said_by"] == {"recipe": "desk pairs", "backbone": "default", "tuning": "default"}


def test_bare_setup_is_pending(web: WebSide) -> None:
    """A backend connected by hand is accepted, if it has our password, and waits to be adopted."""
    response = web.client.post("/setup", json={"project": "77.1", "hostname": "http://ls"}, auth=web.basic)
    assert (response.status_code, response.json()) == (200, {"model_version": "none"})
    assert [pending.project for pending in web.stores.projects.pending()] == ["77.1"]


def test_versions_status_and_metrics(web: WebSide) -> None:
    """What people and Prometheus look at is there, for those with the password."""
    assert web.client.get(f"{DESK}/versions", auth=web.basic).json() == {"versions": ["v0000"]}
    assert web.client.get(f"/p/{PROJECT}/status", auth=web.basic).json()["version"] == "v0000"
    client = web.client
    client.post(f"{DESK}/webhook", json=DELETED, headers=web.secret)
    metrics = client.get("/metrics", auth=web.basic)
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'pal_events_waiting{project="rec"} 1.0' in metrics.text
    assert 'status="201"' in metrics.text
    assert "pal_request_seconds_bucket" in metrics.text


def test_pictures_are_shown_to_whoever_has_the_link(web: WebSide) -> None:
    """A signed link gives the picture, with headers that keep a browser from taking it for anything else."""
    links = MediaLinks(web.credentials.media_key, "")
    response = web.client.get(links.url(PROJECT, SAMPLES[3]))
    assert (response.status_code, response.content) == (200, png(3))
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["access-control-allow-origin"] == "*"


def test_candidates_have_pictures_of_one_size(web: WebSide) -> None:
    """Twice as many pixels as a screen shows, whatever the file has; the same right is asked for."""
    links = MediaLinks(web.credentials.media_key, "")
    response = web.client.get(links.small(PROJECT, SAMPLES[3]))
    with Image.open(io.BytesIO(response.content)) as image:
        assert (image.format, image.size) == ("WEBP", (2 * THUMBNAIL_PIXELS, 2 * THUMBNAIL_PIXELS))
    assert web.client.get(links.small(PROJECT, SAMPLES[3]).replace("sig=", "sig=0")).status_code == 404


def test_pictures_without_a_right_link_are_not_there(web: WebSide) -> None:
    """A missing or foreign signature, an unknown sample or project: all are 404 and look alike."""
    links = MediaLinks(web.credentials.media_key, "")
    good = links.url(PROJECT, SAMPLES[3])
    bad = [
        good.partition("?")[0],
        good + "0",
        good.replace(SAMPLES[3], SAMPLES[4]),
        links.url(PROJECT, "0" * 16),
        links.url("nobody", SAMPLES[3]),
        links.url(PROJECT, "../project.json"),
    ]
    assert [web.client.get(url).status_code for url in bad] == [404] * len(bad)


# ---- how it is built -----------------------------------------------------------------------------------------------------


def test_routes_are_short_and_handle_no_errors() -> None:
    """A route is parse, one call, render: at most eight lines, without try."""
    tree = ast.parse(Path(app_module.__file__).read_text())
    builders = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.endswith("_routes")]
    routes = [
        n
        for b in builders
        for n in ast.walk(b)
        if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n is not b
    ]
    assert len(routes) == 9
    for route in routes:
        assert route.end_lineno is not None
        assert route.end_lineno - route.lineno < 8
        assert not any(isinstance(node, ast.Try) for node in ast.walk(route))


SERVE_A_LITTLE = """
import json, sys
from starlette.testclient import TestClient
from pal_backend.bootstrap import build_app
from pal_backend.credentials import Credentials
from pal_backend.settings import Settings
from pal_backend.team import change_password

settings = Settings.from_env()
secrets = Credentials.load_or_create(settings)
client = TestClient(build_app(settings))
auth = (secrets.basic_auth_user, secrets.basic_auth_password)
body = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}], "project": {"id": 2}}
answers = [
    client.get("/health"),
    client.post("/p/rec/pairs/setup", json={"project": "2.1"}, auth=auth),
    client.post("/p/rec/pairs/predict", json={"tasks": [{"id": 1}]}, auth=auth),
    client.post("/p/rec/pairs/webhook", json=body, auth=auth),
    client.get("/p/rec/status", auth=auth),
    client.get("/metrics", auth=auth),
    client.post("/login", data={"password": change_password(settings, "viewer")}),
    client.get("/projects/rec"),
    client.get("/projects/rec/groups"),
]
assert [a.status_code for a in answers] == [200, 200, 200, 201] + [200] * 5, [a.text for a in answers]
heavy = [m for m in ("torch", "scipy", "sklearn", "label_studio_sdk", "PIL", "pandas") if m in sys.modules]
print(json.dumps(heavy))
"""


def test_the_web_process_never_imports_what_is_heavy(web: WebSide) -> None:
    """After every kind of request, with a posterior read, neither torch nor scipy nor the SDK has been imported."""
    web.revision([0, 1] * 6)
    environment = {**web.settings.to_env(), "PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SERVE_A_LITTLE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []
