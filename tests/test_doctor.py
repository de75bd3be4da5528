"""A healthy installation is played to the doctor, then one thing is broken: just that finding changes.

Label Studio's answers are those it really gave (``tests/recordings``, and what 1.23.2 says to wrong tokens and addresses);
the web process is our own app, Redis a real one.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from label_config import render
from pal_backend import doctor, wire
from pal_backend.bootstrap import build_app
from pal_backend.cli import app
from pal_backend.core.vocabulary import AnnotationKey, QuestionKind
from pal_backend.credentials import FILE, WEBHOOK_HEADER, Credentials
from pal_backend.doctor import Finding, diagnose, examine, failed, to_json
from pal_backend.doctor_browser import picture_urls
from pal_backend.doctor_label_studio import still_banned
from pal_backend.doctor_scene import Check, Outcome, good
from pal_backend.errors import NotFoundError
from pal_backend.joining import ACTIONS
from pal_backend.media import MediaLinks
from pal_backend.pool_index import pool_file, write_lines
from pal_backend.queues import NAMES, Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.versions import Version

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


@pytest.fixture
def house(settings: Settings, stores: Stores) -> Iterator[House]:
    """A healthy installation."""
    settings.home.mkdir(mode=0o700)
    house = House(settings, stores)
    yield house
    stores.redis.config_set("appendonly", "yes")
    stores.redis.config_set("maxmemory", "0")
    stores.redis.config_set("maxmemory-policy", "noeviction")


def change(house: House, **settings: Any) -> None:
    """Other settings for the one who asks; the web process keeps its own."""
    house.settings = dataclasses.replace(house.settings, **settings)


def answer(house: House, path: str, response: httpx.Response) -> None:
    """Let Label Studio answer otherwise at one path."""
    house.answers[path] = lambda request: httpx.Response(
        response.status_code, content=response.content, headers={"content-type": "application/json"}
    )


def hang_up(request: httpx.Request) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("connection refused", request=request)


def legacy_token(house: House, detail: str) -> None:
    """A legacy token that Label Studio refuses."""
    change(house, label_studio_token=LEGACY)
    house.credentials = dataclasses.replace(house.credentials, label_studio_token=LEGACY)
    answer(house, "/api/current-user/whoami", refusal(401, detail))


def replace_credentials(house: House, **secrets: str) -> None:
    """Other secrets for the one who asks."""
    house.credentials = dataclasses.replace(house.credentials, **secrets)


def old_event(house: House) -> None:
    """An event that came two minutes ago."""
    event = wire.ReconcileRequested("x", project=2)
    house.stores.events("digits").append(event, house.now() - 120, "pairs")


def old_event_held(house: House) -> None:
    """The same while a sitting holds the lease and does nothing."""
    old_event(house)
    assert house.stores.sittings("digits").take("host-77", 60)


def fail_job(house: House) -> None:
    """A job that ran and failed."""
    queues = Queues(house.settings.redis_url)
    job_id = queues.reconcile("digits")
    connection = Redis.from_url(house.settings.redis_url)
    queue = Queue("desk", connection=connection, serializer=JSONSerializer)
    job = queue.fetch_job(job_id)
    assert job is not None
    job.retries_left = 0
    job.save()
    Worker([queue], connection=connection, serializer=JSONSerializer).handle_job_failure(
        job, queue, exc_string="E: boom"
    )
    job.set_status("failed")
    connection.hset(f"rq:job:{job_id}", "ended_at", formatdate_iso(house.now()))


def formatdate_iso(moment: float) -> str:
    """A moment as RQ writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + ".000000Z"


def second_hook(url: str) -> Callable[[House], None]:
    """Another webhook in the same Label Studio project."""
    return lambda house: house.hooks.append(house.hook | {"id": 9, "url": url})


def set_page(page: str = "", **headers: str) -> Callable[[House], None]:
    """Another sign-in page of Label Studio."""

    def play(house: House) -> None:
        house.page = page or house.page
        house.page_headers = {name.replace("_", "-"): value for name, value in headers.items()}

    return play


def https_page(house: House) -> None:
    """Label Studio behind a proxy that speaks https."""
    house.page = '<link href="https://label.example.com/static/css/login.css"/>'


def public_elsewhere(house: House) -> None:
    """Browsers are sent to their own machine, open questions too."""
    change(house, public_url="http://127.0.0.1:9090", backend_url=PAL)
    url = MediaLinks(house.credentials.media_key, "http://127.0.0.1:9090").url("digits", house.sample)
    house.task = {"data": {"left": url}}


BREAKS: list[tuple[str, str, Callable[[House], Any]]] = [
    ("home", "chmod 700", lambda house: house.settings.home.chmod(0o755)),
    ("home", "chmod 600", lambda house: (house.settings.home / FILE).chmod(0o644)),
    ("redis-append-only", "appendonly yes", lambda house: house.stores.redis.config_set("appendonly", "no")),
    ("worker-learn", "--queue learn", lambda house: house.workers["learn"].register_death()),
    ("worker-desk", "--queue desk", lambda house: house.workers["desk"].register_death()),
    ("worker-train", "--queue train", lambda house: house.workers["train"].register_death()),
    ("failed-jobs", "pal sync digits", fail_job),
    ("learning", "--queue learn", old_event),
    ("learning", "host-77", old_event_held),
    ("vanished", "pal sync", lambda house: house.stores.answers("digits").hold([AnnotationKey("pairs", 1)], "gone")),
    ("label-studio", "LABEL_STUDIO_URL", lambda house: house.answers.update({"/health": hang_up})),
    ("label-studio", "LABEL_STUDIO_URL", lambda house: answer(house, "/health", httpx.Response(404))),
    ("clock", "timedatectl", lambda house: answer_with_date(house, -3600)),
    ("token", "LABEL_STUDIO_API_KEY", lambda house: replace_credentials(house, label_studio_token="")),
    ("token", "LABEL_STUDIO_API_KEY", lambda house: replace_credentials(house, label_studio_token=ACCESS)),
    ("token", "personal access token", lambda house: answer(house, "/api/token/refresh", refusal(401, "Token is invalid"))),
    ("token", "personal access token", lambda house: answer(house, "/api/token/refresh", refusal(401, "Token is expired"))),
    ("token", "Organization", lambda house: answer(house, "/api/current-user/whoami", refusal(401, "Authentication credentials were not provided."))),
    ("token", "LABEL_STUDIO_API_KEY", lambda house: legacy_token(house, "Invalid token.")),
    ("token", "switch legacy tokens on", lambda house: legacy_token(house, "Authentication token no longer valid: legacy token authentication has been disabled for this organization")),
    ("lock-time", "TASK_LOCK_TTL=600", lambda house: setattr(house, "version_page", '<pre>"TASK_LOCK_TTL": "86400",\n</pre>')),
    ("lock-time", "PAL_TASK_LOCK_SECONDS=1800", lambda house: setattr(house, "version_page", '"TASK_LOCK_TTL": "1800",')),
    ("backend-address", "USE_DEFAULT_BANNED_SUBNETS=false", lambda house: answer_post(house, "/api/ml", refusal(403, BLOCKED))),
    ("webhook-address", "USE_DEFAULT_BANNED_SUBNETS=false", lambda house: answer_post(house, "/api/webhooks/", refusal(403, BLOCKED))),
    ("webhook-address", "with a dot", lambda house: answer_post(house, "/api/webhooks/", refusal(400, "Validation error", url=["Enter a valid URL."]))),
    ("backend-address", "PAL_BACKEND_URL", lambda house: answer_post(house, "/api/ml", refusal(500, "Can't resolve hostname pal.example.com"))),
    ("desk-project", "pal init digits --questions pairs --desk pairs", lambda house: answer(house, "/api/projects/2/", refusal(404, "No Project matches the given query."))),
    ("desk-config", "pair.xml", lambda house: house.remote.update(label_config=render.screen_config())),
    ("sampling", "Uncertainty sampling", lambda house: house.remote.update(sampling="Sequential sampling")),
    ("model-version", "v0000", lambda house: house.remote.update(model_version="")),
    ("backend", "pal init digits", lambda house: house.backend.update(url="http://elsewhere:9090")),
    ("backend-state", "pal serve", lambda house: house.backend.update(state="ER", error_message="timed out")),
    ("backend-state", "pal init", lambda house: house.backend.update(auth_method="NONE")),
    ("webhook", "pal init", lambda house: house.hooks.clear()),
    ("webhook-secret", "pal init", lambda house: house.hook.update(headers={})),
    ("webhook-secret", "pal init", lambda house: house.hook.update(headers={WEBHOOK_HEADER: "another"})),
    ("webhook-active", "Is Active", lambda house: house.hook.update(is_active=False)),
    ("webhook-content", "Send payload", lambda house: house.hook.update(send_payload=False)),
    ("webhook-content", "pal init", lambda house: house.hook["actions"].remove("ANNOTATIONS_DELETED")),
    ("webhook-leftover", "delete them", second_hook(f"{PAL}/webhook")),
    ("webhook-leftover", "delete them", second_hook("http://old-host:9090/p/digits/pairs/webhook")),
    ("webhook-leftover", "delete them", second_hook(f"{DESK}/webhook")),
    ("web-password", "BASIC_AUTH_PASS", lambda house: replace_credentials(house, basic_auth_password="another")),
    ("picture", "Data Manager", lambda house: house.task.update(data={"left": f"{PAL}/media/digits/{house.sample}?sig=0"})),
    ("picture", "Data Manager", lambda house: house.task.update(data={"left": "http://old.example.com/media/x"})),
    ("picture", "PAL_PUBLIC_URL", lambda house: house.task.update(data={"left": f"{PAL}/health"})),
    ("mixed-content", "https", https_page),
    ("page-policy", "img-src", set_page(Content_Security_Policy="default-src 'self'; img-src 'self' data: https://*.example.com")),
]  # fmt: skip


def answer_with_date(house: House, shift: float) -> None:
    """Label Studio's clock is off by ``shift`` seconds."""
    headers = {"Date": formatdate(house.now() + shift, usegmt=True)}
    house.answers["/health"] = lambda request: httpx.Response(200, text='{"status": "UP"}', headers=headers)


def answer_post(house: House, path: str, response: httpx.Response) -> None:
    """Let Label Studio answer otherwise to a POST."""
    house.answers[path] = lambda request: response if request.method == "POST" else house.signed_in("GET", path)


def test_a_healthy_installation_has_nothing_wrong(house: House) -> None:
    """Every check comes out well, and says so in a sentence without anything to mend."""
    findings = house.findings()
    assert {name: finding for name, finding in findings.items() if finding.ok is not True} == {}
    assert all(finding.sentence.endswith(".") and not finding.mend for finding in findings.values())


@pytest.mark.parametrize(("name", "mend", "break_it"), BREAKS, ids=[f"{i}-{b[0]}" for i, b in enumerate(BREAKS)])
def test_one_broken_thing_changes_just_its_finding(
    house: House, name: str, mend: str, break_it: Callable[[House], Any]
) -> None:
    """Whatever is broken, that finding alone turns bad; those that build on it are unknown, all others stay well."""
    break_it(house)
    findings = house.findings()
    assert [found.check for found in findings.values() if found.ok is False] == [name]
    assert mend in findings[name].mend
    needed = {check.name: check.needs for check in (*doctor.OF_THE_HOUSE, *doctor.OF_A_PROJECT, *doctor.OF_A_DESK)}
    unlooked = {found.check for found in findings.values() if found.ok is None}
    ill = {name} | unlooked
    assert all(set(needed[check]) & ill for check in unlooked)


def test_redis_down_hides_nothing_else(house: House) -> None:
    """Without Redis what needs it is unknown; Label Studio, desks, web and pictures are looked at all the same."""
    change(house, redis_url="redis://127.0.0.1:1/0")
    house.stores = Stores.open(house.settings)
    findings = house.findings()
    assert [found.check for found in findings.values() if found.ok is False] == ["redis"]
    assert findings["webhook-secret"].ok
    assert findings["picture"].ok
    assert findings["worker-learn"].ok is None


def test_projects_are_found_without_redis(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pal doctor` knows the projects from the artefact folder when Redis is gone."""
    broken = dataclasses.replace(
        house.settings, redis_url="redis://127.0.0.1:1/0", label_studio_url="http://127.0.0.1:1"
    )
    findings = examine(broken)
    assert {finding.about for finding in findings} == {"", "digits", "digits/pairs"}
    assert failed(findings)


def test_an_unknown_project_is_an_error(house: House) -> None:
    """Asking for a project that is not there says so."""
    with pytest.raises(NotFoundError, match="digits"):
        examine(house.settings, "birds")


def test_web_down_leaves_the_rest(house: House) -> None:
    """With the web process gone, web and pictures are wrong, and passwords cannot be tried."""
    house.web = TestClient(Gone(), base_url=PAL)
    findings = house.findings()
    assert {found.check for found in findings.values() if found.ok is False} == {"web", "picture"}
    assert findings["web-password"].ok is None
    assert "pal serve" in findings["web"].mend


class Gone:
    """An app in whose place nobody listens."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hang up."""
        raise httpx.ConnectError("connection refused")


def test_another_secret_at_the_web_process(house: House) -> None:
    """A web process with another webhook secret is told from a webhook without one."""
    other = dataclasses.replace(house.settings, webhook_secret="the web process' own")
    house.web = TestClient(build_app(other), base_url=PAL)
    findings = house.findings()
    assert [found.check for found in findings.values() if found.ok is False] == ["web-secret"]
    assert "PAL_WEBHOOK_SECRET" in findings["web-secret"].mend


def test_public_address_on_loopback(house: House) -> None:
    """A loopback address for pictures is wrong when annotators open Label Studio at another one."""
    public_elsewhere(house)
    house.page = '<link href="http://label.example.com:8080/static/css/login.css"/>'
    findings = house.findings()
    assert findings["public-loopback"].ok is False
    assert "PAL_PUBLIC_URL" in findings["public-loopback"].mend


def test_label_studio_on_loopback_may_use_loopback_pictures(house: House) -> None:
    """Label Studio that names 127.0.0.1 as its own host fits pictures from 127.0.0.1, wherever it is reached by us."""
    public_elsewhere(house)
    house.page = '<link href="http://127.0.0.1:8080/static/css/login.css"/>'
    assert house.findings()["public-loopback"].ok


def test_backend_address_on_loopback(house: House) -> None:
    """A loopback address for Label Studio's calls is wrong when Label Studio is elsewhere."""
    change(house, backend_url="http://127.0.0.1:9090")
    finding = house.findings()["backend-loopback"]
    assert finding.ok is False
    assert "PAL_BACKEND_URL" in finding.mend


def test_full_redis_that_evicts(house: House) -> None:
    """A Redis that may throw keys away is found before it does."""
    house.stores.redis.config_set("maxmemory", "1gb")
    house.stores.redis.config_set("maxmemory-policy", "allkeys-lru")
    finding = house.findings()["redis-eviction"]
    assert finding.ok is False
    assert "noeviction" in finding.mend


def test_lock_time_that_nobody_tells(house: House) -> None:
    """A token that is not shown Label Studio's settings leaves the lock time unknown, and says what it is by default."""
    house.version_page = "<pre>{}</pre>"
    finding = house.findings()["lock-time"]
    assert finding.ok is None
    assert "a day" in finding.sentence


def test_pictures_in_a_container(house: House) -> None:
    """Where the browsers' loopback address is not ours, the picture is tried at the address that Label Studio uses."""
    public_elsewhere(house)
    house.page = '<link href="http://127.0.0.1:8080/static/css/login.css"/>'
    finding = house.findings()["picture"]
    assert finding.ok
    assert PAL in finding.sentence


def test_nothing_posted_yet(house: House) -> None:
    """Without a question no picture can be tried, which is no fault."""
    house.task = None
    assert house.findings()["picture"].ok is None


def test_a_slow_check_does_not_hold_up_the_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that takes too long is given up, and the next one is made."""

    def sleep(scene: object) -> Outcome:
        time.sleep(5)
        return good("Late.")

    checks = (Check("slow", sleep), Check("next", lambda scene: good("In time.")))
    monkeypatch.setattr(doctor, "OF_THE_HOUSE", checks)
    started = time.monotonic()
    findings = house.findings(check_seconds=0.2)
    assert time.monotonic() - started < 4
    assert (findings["slow"].ok, findings["next"].ok) == (None, True)


def test_a_fault_of_ours_does_not_hide_the_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that breaks by itself is unknown, and the next one is made."""
    checks = (Check("faulty", lambda scene: 1 / 0), Check("next", lambda scene: good("Made.")))  # type: ignore[arg-type,return-value]
    monkeypatch.setattr(doctor, "OF_THE_HOUSE", checks)
    findings = house.findings()
    assert (findings["faulty"].ok, findings["next"].ok) == (None, True)
    assert "ZeroDivisionError" in findings["faulty"].sentence


def test_no_secret_is_ever_shown(house: House) -> None:
    """Whatever is broken, no finding holds a token, password, secret or signature."""
    for _, _, break_it in BREAKS:
        break_it(house)
    secrets = [value for value in dataclasses.astuple(house.credentials) if len(value) > 8]
    shown = json.dumps(to_json(list(house.findings().values())))
    assert not [secret for secret in secrets if secret in shown]
    assert "sig=" not in shown
    assert PERSONAL not in shown


def test_looking_changes_nothing(house: House, tmp_path: Path) -> None:
    """Redis and the state folder are the same after a diagnosis as before."""

    def state() -> tuple[dict[str, Any], list[str]]:
        redis = Redis.from_url(house.settings.redis_url)
        kept = {key: redis.dump(key) for key in redis.scan_iter() if b"worker" not in key}
        return kept, sorted(str(path) for path in house.settings.home.rglob("*"))

    before = state()
    house.findings()
    assert state() == before
    fresh = Settings(
        home=tmp_path / "elsewhere", redis_url=house.settings.redis_url, label_studio_url="http://127.0.0.1:1"
    )
    examine(fresh)
    assert not fresh.home.exists()


def test_every_command_advised_exists() -> None:
    """Whatever `pal …` a finding advises is a command that there is."""
    advised = {name for _, mend, _ in BREAKS for name in re.findall(r"pal ([a-z-]+)", mend)}
    sources = "".join(path.read_text() for path in Path(doctor.__file__).parent.glob("doctor*.py"))
    advised |= set(re.findall(r"[`\"]pal ([a-z][a-z-]+)", sources))
    known = {command.name for command in app.registered_commands}
    assert advised <= known
    assert {"init", "sync", "serve"} <= advised


def test_json_names_what_is_wrong(house: House) -> None:
    """The JSON says whether all is well, and holds every finding."""
    house.hooks.clear()
    told = to_json(list(house.findings().values()))
    assert told["ok"] is False
    webhook = next(found for found in told["findings"] if found["check"] == "webhook")
    assert set(webhook) == {"check", "ok", "sentence", "mend", "about"}
    assert webhook["about"] == "digits/pairs"


@pytest.mark.parametrize(
    ("url", "block", "freed", "banned"),
    [
        (
            "http://172.31.77.5:9090",
            "172.16.0.0/12",
            "172.31.77.0/24",
            ["172.31.76.9", "172.16.0.1", "169.254.169.254"],
        ),
        ("http://127.0.0.1:9090", "127.0.0.0/8", "127.0.0.0/8", ["10.0.0.1", "192.168.1.1", "169.254.169.254"]),
        ("http://10.1.2.3", "10.0.0.0/8", "10.1.2.0/24", ["10.1.3.1", "172.31.77.5"]),
    ],
)
def test_the_advice_frees_one_small_network(url: str, block: str, freed: str, banned: list[str]) -> None:
    """The list we advise lets Label Studio reach our /24 (or loopback), and nothing else that it banned."""
    nets = [
        ipaddress.ip_network(net) for net in still_banned(url, f"URL resolves to a reserved address (block: {block})")
    ]
    freed_net = ipaddress.ip_network(freed)
    assert not any(net.version == freed_net.version and net.overlaps(freed_net) for net in nets)
    assert all(any(ipaddress.ip_address(one) in net for net in nets) for one in banned)


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ("img-src *", True),
        ("img-src http:", True),
        ("img-src https:", False),
        ("img-src pal.example.com:9090", True),
        ("img-src pal.example.com", False),
        ("img-src http://pal.example.com:*", True),
        ("img-src *.example.com:9090", True),
        ("img-src *.pal.example.com:9090", False),
        ("img-src 'none'", False),
        ("default-src 'self'", False),
        ("script-src 'self'", True),
    ],
)
def test_page_policies(house: House, policy: str, allowed: bool) -> None:
    """A policy is read as browsers read it: schemes, hosts, wildcards, ports, and default-src in place of img-src."""
    house.page_headers = {"Content-Security-Policy": policy}
    assert house.findings()["page-policy"].ok is allowed


def test_pictures_of_both_kinds_of_question_are_found() -> None:
    """The pictures of a pair and of a screen are those their task data show."""
    assert picture_urls(render.pair_task("http://a/1?sig=2&x", "http://a/2")) == ["http://a/1?sig=2&x", "http://a/2"]
    screen = render.screen_task("http://a/0", [("s1", "http://a/1?a=1&b=2")])
    assert picture_urls(screen) == ["http://a/0", "http://a/1?a=1&b=2"]
