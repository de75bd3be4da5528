"""A healthy installation is played to the doctor, then one thing is broken: just that finding changes.

Label Studio's answers are those it really gave (``tests/recordings``, and what 1.23.2 says to wrong tokens and addresses);
the web process is our own app, Redis a real one.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from label_config import render
from pal_backend import doctor, wire
from pal_backend.bootstrap import build_app
from pal_backend.cli import app
from pal_backend.core.vocabulary import AnnotationKey
from pal_backend.credentials import FILE, WEBHOOK_HEADER
from pal_backend.doctor import examine, failed, to_json
from pal_backend.doctor_parts import Check, Outcome, good
from pal_backend.errors import NotFoundError
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.healthy_house import (
    ACCESS,
    BLOCKED,
    DESK,
    LEGACY,
    PAL,
    PERSONAL,
    House,
    change,
    hang_up,
    refusal,
)


@pytest.fixture
def house(settings: Settings, stores: Stores) -> Iterator[House]:
    """A healthy installation."""
    house = House(settings, stores)
    yield house
    stores.redis.config_set("appendonly", "yes")
    stores.redis.config_set("maxmemory", "0")
    stores.redis.config_set("maxmemory-policy", "noeviction")


def answer(house: House, path: str, response: httpx.Response) -> None:
    """Let Label Studio answer otherwise at one path."""
    house.answers[path] = lambda request: httpx.Response(
        response.status_code, content=response.content, headers={"content-type": "application/json"}
    )


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


BREAKS: list[tuple[str, str, Callable[[House], Any]]] = [
    ("home", "chmod 700", lambda house: house.settings.home.chmod(0o755)),
    ("home", "chmod 600", lambda house: (house.settings.home / FILE).chmod(0o644)),
    ("redis-append-only", "appendonly yes", lambda house: house.stores.redis.config_set("appendonly", "no")),
    ("worker-learn", "--queue learn", lambda house: house.workers["learn"].register_death()),
    ("worker-desk", "--queue desk", lambda house: house.workers["desk"].register_death()),
    ("worker-train", "--queue train", lambda house: house.workers["train"].register_death()),
    ("worker-export", "--queue export", lambda house: house.workers["export"].register_death()),
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


def test_full_redis_that_evicts(house: House) -> None:
    """A Redis that may throw keys away is found before it does."""
    house.stores.redis.config_set("maxmemory", "1gb")
    house.stores.redis.config_set("maxmemory-policy", "allkeys-lru")
    finding = house.findings()["redis-eviction"]
    assert finding.ok is False
    assert "noeviction" in finding.mend


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
