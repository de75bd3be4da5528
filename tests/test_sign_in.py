"""Signing in with a Label Studio token, and what is told apart about those who try."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from starlette.testclient import TestClient

from pal_backend import bootstrap
from pal_backend.errors import AccessError, ConfigError, UnavailableError
from pal_backend.label_studio_people import AT_ONCE, People, Person
from pal_backend.settings import Settings
from pal_backend.store.projects import Project, Projects
from pal_backend.store.stores import Stores
from tests.test_pages import OVERVIEW, entered, token_of
from tests.web_side import PROJECT, WebSide

URL = "http://127.0.0.1:8080"
LEGACY = "ab12" * 10


def personal(user: int = 7) -> str:
    """A token as Label Studio makes them: a JWT that is exchanged for another one."""
    parts = ({"alg": "none"}, {"token_type": "refresh", "user": user})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "sig"])


class LabelStudio:
    """Answers as recorded: user 7 by either token; users 1 owns the organization; the projects 2 and 3 are made by 7 and 1."""

    def __init__(self, user: int = 7, **more: Any) -> None:
        self.user, self.more = user, more
        self.heard: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(request)
        if "status" in self.more:
            return httpx.Response(self.more["status"], text="<h1>no</h1>")
        path, sent = request.url.path, request.headers.get("Authorization", "")
        if path == "/api/token/refresh":
            right = json.loads(request.content) == {"refresh": personal()}
            return httpx.Response(*((200,) if right else (401,)), json={"access": "a.b.c"})
        if sent not in (f"Token {LEGACY}", "Bearer a.b.c"):
            return httpx.Response(401, json={"detail": "Invalid token."})
        return httpx.Response(200, json=self.answer(path, request.url.params))

    def answer(self, path: str, query: Mapping[str, str]) -> Any:
        if path == "/api/current-user/whoami":
            return {"id": self.user, "email": "ann@example.com", "active_organization": 1}
        if path == "/api/organizations/1":
            return {"id": 1, "created_by": 1}
        made = {2: 7, 3: 1}
        wanted = [int(number) for number in query["ids"].split(",")]
        shown = [number for number in wanted if number in self.more.get("shown", made)]
        return {"results": [{"id": n, "created_by": {"id": made[n]}} for n in shown]}


def find(projects: Projects, answers: Callable[[httpx.Request], httpx.Response], token: str) -> Person:
    """As the route does."""
    return asyncio.run(People(URL, projects, httpx.MockTransport(answers)).find(token))


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebSide:
    """A web side beside such a Label Studio."""
    transport = httpx.MockTransport(LabelStudio())
    monkeypatch.setattr(bootstrap, "People", lambda url, projects: People(url, projects, transport))
    return WebSide(settings, stores, tmp_path / "pool")


def enter(web: WebSide, token: str = LEGACY, **headers: str) -> tuple[TestClient, httpx.Response]:
    """A browser in which somebody gave a token."""
    client = web.client
    return client, client.post("/login/token", data={"access": token}, headers=headers, follow_redirects=False)


@pytest.mark.parametrize("token", [LEGACY, personal()])
def test_both_kinds_of_token_name_their_person(web: WebSide, token: str) -> None:
    """Who created a desk's project leads the project; the token goes to Label Studio and nowhere else."""
    answers = LabelStudio()
    assert find(web.stores.projects, answers, token) == Person(7, "ann@example.com", False, (PROJECT,))
    assert {request.url.host for request in answers.heard} == {"127.0.0.1"}
    assert all(token not in str(request.url) for request in answers.heard)


def test_who_owns_the_organization_leads_all(web: WebSide) -> None:
    """With or without projects; anybody else must see a desk."""
    assert find(web.stores.projects, LabelStudio(1, shown={}), LEGACY).leads_all
    stranger = find(web.stores.projects, LabelStudio(9), LEGACY)
    assert not stranger.leads_all and stranger.leads == ()
    with pytest.raises(AccessError, match="shows you none") as refused:
        find(web.stores.projects, LabelStudio(9, shown={}), LEGACY)
    assert refused.value.status == 403


def test_desks_elsewhere_make_nobody_a_lead(web: WebSide) -> None:
    """A number of another Label Studio, or of one that is gone, names another project here."""
    project = web.stores.projects.get(PROJECT)
    for change in ({"label_studio_url": "http://127.0.0.1:9999"}, {"retired": True}):
        web.stores.projects.save(replace(project, desks=tuple(replace(desk, **change) for desk in project.desks)))
        with pytest.raises(AccessError):
            find(web.stores.projects, LabelStudio(), LEGACY)


@pytest.mark.parametrize("token", ["", "x" * 2001, "a b", "ä", "a\nX: y", "0" * 40, "a.b.c"])
def test_another_token_is_refused(web: WebSide, token: str) -> None:
    """What cannot be a token is not even sent."""
    with pytest.raises(AccessError, match="token"):
        find(web.stores.projects, LabelStudio(), token)


def no_answer(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "answers",
    [
        no_answer,
        LabelStudio(status=500),
        LabelStudio(status=200),
        LabelStudio(status=301),
        lambda request: httpx.Response(200, json=[1]),
        lambda request: httpx.Response(200, json={"id": "7"}),
        lambda request: httpx.Response(200, content=b"[" + b" " * 2_000_000),
    ],
)
@pytest.mark.parametrize("token", [LEGACY, personal()])
def test_a_label_studio_that_does_not_answer_is_told(
    web: WebSide, answers: Callable[[httpx.Request], httpx.Response], token: str
) -> None:
    """Nobody comes in by an answer that cannot be read, and redirects are not followed."""
    with pytest.raises(UnavailableError, match="does not answer as expected"):
        find(web.stores.projects, answers, token)


def test_only_a_few_are_asked_about_at_a_time(web: WebSide) -> None:
    """Whoever comes beyond them is asked to try again, and the next ones get in."""

    async def many() -> list[Any]:
        going = asyncio.Event()

        async def slow(request: httpx.Request) -> httpx.Response:
            await going.wait()
            return LabelStudio()(request)

        people = People(URL, web.stores.projects, httpx.MockTransport(slow))
        waiting = [asyncio.create_task(people.find(LEGACY)) for _ in range(AT_ONCE + 2)]
        await asyncio.sleep(0.05)
        going.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        return [*found, await people.find(LEGACY)]

    found = asyncio.run(many())
    assert sum(isinstance(one, UnavailableError) for one in found) == 2
    assert sum(isinstance(one, Person) for one in found) == AT_ONCE + 1


# ---- the page --------------------------------------------------------------------------------------------------------------


def test_a_token_opens_the_pages(web: WebSide, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """The person is named and leads where they may; the token lies in no log, cookie or store."""
    caplog.set_level(logging.DEBUG)
    client, answer = enter(web)
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "ann@example.com" in client.get("/projects").text
    assert '<span class="chip">lead</span>' in client.get(OVERVIEW).text
    assert '<span class="chip">viewer</span>' in client.get("/projects").text
    assert client.post(f"{OVERVIEW}/pause", data={"token": token_of(client, OVERVIEW)}).status_code == 200
    kept = "".join(str(redis.dump(key)) for key in redis.scan_iter())
    everywhere = caplog.text + kept + answer.headers["set-cookie"] + client.get(OVERVIEW).text
    assert LEGACY not in everywhere


def test_a_lead_of_one_project_looks_at_the_others(web: WebSide) -> None:
    """What somebody created in Label Studio is theirs to lead, and nothing else."""
    web.stores.projects.save(Project("other", str(web.pool), ()))
    client, _ = enter(web)
    page = client.get("/projects/other/questions")
    assert page.status_code == 200 and "Pause" not in page.text
    assert client.post("/projects/other/pause", data={"token": token_of(client)}).status_code == 403
    assert not web.stores.projects.get("other").paused


def test_a_wrong_token_is_told_on_the_page(web: WebSide) -> None:
    """With the limit that passwords have, shared with them; other sites' forms open nothing."""
    for _ in range(10):
        _, answer = enter(web, "0" * 40)
        assert answer.status_code == 401 and "does not take this token" in answer.text
    assert enter(web)[1].status_code == 429
    assert enter(web, **{"Sec-Fetch-Site": "cross-site"})[1].status_code == 403


def test_the_operator_may_close_this_way(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    """Then there is no form for it, and Label Studio is not asked."""
    web = WebSide(replace(settings, label_studio_sign_in="no"), stores, tmp_path / "pool")
    assert "/login/token" not in web.client.get("/login").text
    assert enter(web)[1].status_code == 403


def test_sessions_of_tokens_end_where_the_way_is_closed(web: WebSide) -> None:
    """A cookie that was sealed before opens nothing afterwards."""
    client, _ = enter(web)
    closed = TestClient(bootstrap.build_app(replace(web.settings, label_studio_sign_in="no")), cookies=client.cookies)
    assert client.get(OVERVIEW, follow_redirects=False).status_code == 200
    assert closed.get(OVERVIEW, follow_redirects=False).status_code == 303


# ---- whose attempts are counted together -----------------------------------------------------------------------------------


def guess(client: TestClient, count: int = 1) -> int:
    """The status of the last of so many wrong passwords."""
    return [client.post("/login", data={"password": "wrong"}).status_code for _ in range(count)][-1]


def test_each_address_has_attempts_of_its_own(web: WebSide) -> None:
    """Of IPv6 each network of a household; IPv4 written as IPv6 is the same address."""

    def at(address: str) -> TestClient:
        return TestClient(web.app, client=(address, 1))

    assert guess(at("10.0.0.1"), 11) == 429
    assert guess(at("::ffff:10.0.0.1")) == 429
    assert guess(at("10.0.0.2")) == 401
    assert guess(at("2001:db8::1"), 11) == 429
    assert guess(at("2001:db8::ffff:2")) == 429
    assert guess(at("2001:db8:0:1::1")) == 401


@pytest.mark.parametrize(("trusted", "last"), [("", 429), ("10.0.0.0/8, ::1", 401), ("192.0.2.1", 429)])
def test_a_trusted_proxy_tells_who_the_client_is(web: WebSide, trusted: str, last: int) -> None:
    """From it alone X-Forwarded-For is believed, as `pal serve` sets it up."""
    app = web.app
    config = bootstrap.server_config(replace(web.settings, trusted_proxies=trusted), app)
    config.load()
    client = TestClient(config.loaded_app, client=("10.0.0.9", 1))
    statuses = [
        client.post("/login", data={"password": "x"}, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
        for n in range(11)
    ]
    assert statuses[-1] == last


@pytest.mark.parametrize("text", ["*", "0.0.0.0/0", "::/0", "proxy.example.com", "10.0.0.1/8", ""])
def test_nobody_can_be_trusted_by_mistake(text: str) -> None:
    """All addresses, or a name, are refused; nothing is nobody."""
    if not text:
        assert Settings.from_env({"PAL_TRUSTED_PROXIES": text}).trusted_proxies == ""
        return
    with pytest.raises(ConfigError, match="PAL_TRUSTED_PROXIES"):
        Settings.from_env({"PAL_TRUSTED_PROXIES": text})


# ---- nothing is open -------------------------------------------------------------------------------------------------------

OPEN = {"/", "/health", "/login", "/login/token", "/static/{name}"}
"""Ways to come in, and what everybody may know."""


def test_nothing_is_told_without_a_credential(web: WebSide) -> None:
    """Every address that there is, by every method, at the bare URL and under a desk's: refused, or sent to sign in."""
    parts = {"project": PROJECT, "desk": "pairs", "version": "v0000", "at": "0", "group": "0" * 16, "sample": "0" * 16}
    asked = 0
    for path, methods in web.app.openapi()["paths"].items():
        if path.replace("/p/{project}/{desk}", "") in OPEN:
            continue
        url = path.format_map({**dict.fromkeys(re.findall(r"{(\w+)}", path), "1"), **parts})
        for method in methods:
            answer = web.client.request(method, url, follow_redirects=False)
            asked += 1
            assert answer.status_code in (303, 401, 404), (method, url, answer.status_code)
            assert answer.status_code != 404 or "/media/" in url, (method, url)
            assert answer.status_code != 303 or (answer.headers["location"].startswith("/login") and not answer.content)
    assert asked > 25 and Settings().host == "127.0.0.1"


def test_no_request_leaves_the_host(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and protocol connect to Redis alone; signing in with a token asks Label Studio, here a double of it."""
    reached: list[Any] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def note(self: socket.socket, address: Any) -> None:
        reached.append(address)
        connect(self, address)

    def note_name(host: Any, *rest: Any, **more: Any) -> Any:
        reached.append((host, 0))
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", note)
    monkeypatch.setattr(socket, "getaddrinfo", note_name)
    web.version()
    web.fill_pool()
    client = entered(web, "lead")
    for place in ("", "/groups", "/questions", "/map", "/thumbs/" + "0" * 16):
        client.get(OVERVIEW + place)
    for path, body in {
        "/setup": {"project": "2.1"},
        "/predict": {"tasks": [], "project": "2.1"},
        "/webhook": {},
    }.items():
        web.client.post(f"/p/{PROJECT}/pairs{path}", json=body, auth=web.basic)
    enter(web)
    assert {str(host) for host, *_ in reached} <= {"127.0.0.1", "localhost", "::1"}
