"""The client of Label Studio's API: on recorded answers, on a fake that fails, and on a real Label Studio."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from label_config.render import pair_config, screen_config
from pal_backend import label_studio_values as values
from pal_backend.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    PalError,
    UnavailableError,
)
from pal_backend.joining import ACTIONS
from pal_backend.label_studio import PAGE, BasicAuth, LabelStudio
from pal_backend.label_studio_errors import BANNED_SUBNETS, address_advice, detail_of, error_for
from pal_backend.label_studio_session import Session
from pal_backend.label_studio_tokens import token_kind
from tests.label_studio_server import LEGACY_TOKEN, LabelStudioServer

RECORDINGS = Path(__file__).parent / "recordings"
URL = "http://ls.test"
WITHOUT_REQUESTS = [
    *("01", "02", "03", "05", "06", "11", "16", "23", "30", "38", "43"),
    *("46", "49", "51", "52", "64", "65", "66", "67", "87", "91", "92"),
]

Handler = Callable[[httpx.Request], httpx.Response]


def recording(number: str) -> dict[str, Any]:
    """One recording."""
    (path,) = RECORDINGS.glob(f"{number}_*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


class Replay:
    """A Label Studio that answers every request with one recording, and remembers what it was asked."""

    def __init__(self, number: str) -> None:
        self.recorded = recording(number)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as recorded."""
        self.requests.append(request)
        answer = self.recorded["label_studio_response"]
        if answer["body"] == "":
            return httpx.Response(answer["status"])
        return httpx.Response(answer["status"], json=answer["body"])

    @property
    def sent(self) -> tuple[str, str, Any]:
        """Method, path and body of the last request."""
        request = self.requests[-1]
        return request.method, request.url.path.rstrip("/"), json.loads(request.content) if request.content else None

    @property
    def trigger(self) -> tuple[str, str]:
        """Method and path that were recorded."""
        trigger = self.recorded["trigger"]
        return trigger["method"], trigger["path"].partition("?")[0].rstrip("/")


def client_of(handler: Handler, token: str = LEGACY_TOKEN, now: float = 1_800_000_000.0) -> LabelStudio:
    """A client whose requests ``handler`` answers, and which never really sleeps."""
    session = Session(URL, token, transport=httpx.MockTransport(handler), clock=lambda: now, sleep=lambda _: None)
    return LabelStudio(URL, token, session=session)


def jwt(**claims: Any) -> str:
    """An unsigned JWT."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"


# --- recorded answers


def test_every_recording_without_requests_is_used_here() -> None:
    """The recordings in which Label Studio asked us nothing are exactly the ones that feed these tests (and reconcile's)."""
    quiet = [
        path.name[:2]
        for path in sorted(RECORDINGS.glob("[0-9]*_*.json"))
        if not json.loads(path.read_text())["requests_sent_by_label_studio"]
    ]
    assert quiet == WITHOUT_REQUESTS


def test_a_webhook_is_made_and_read_as_recorded() -> None:
    """Creating a webhook sends what was recorded and gives it back whole, its headers hidden from repr (01)."""
    replay = Replay("01")
    body = replay.recorded["trigger"]["body"]
    made = client_of(replay).create_webhook(2, body["url"], body["headers"], ["ANNOTATION_CREATED"])
    assert replay.sent[:2] == replay.trigger
    assert (made.id, made.project, made.all_actions, made.headers) == (1, 2, True, body["headers"])
    assert "s3cret" not in repr(made)


def test_a_webhook_for_some_actions_names_them() -> None:
    """A webhook without payload for two actions is read as such (02), and the actions exist (03)."""
    hook = values.webhook(recording("02")["label_studio_response"]["body"])
    assert (hook.payload, hook.all_actions, hook.actions) == (False, False, ("ANNOTATION_CREATED", "TASKS_DELETED"))
    assert set(ACTIONS) <= set(recording("03")["label_studio_response"]["body"])


@pytest.mark.parametrize("number", ["05", "51"])
def test_the_webhook_that_connecting_makes_has_no_secret(number: str) -> None:
    """Label Studio's own webhook sends everything without a header, and outlives the ML backend (05, 51)."""
    replay = Replay(number)
    own = client_of(replay).webhooks(2)[-1]
    assert replay.sent[:2] == replay.trigger
    assert (own.url, own.all_actions, own.payload, own.headers) == ("http://<SINK_HOST>/ml/webhook", True, True, {})


def test_a_project_is_read_as_recorded() -> None:
    """After connecting, a project's version is the backend's title, which no prediction carries (06)."""
    replay = Replay("06")
    project = client_of(replay).project(2)
    assert replay.sent[:2] == replay.trigger
    assert (project.title, project.sampling, project.model_version) == (
        "Recorded pairs",
        "Sequential sampling",
        "querylab",
    )
    assert (project.show_predictions, project.predicts_by_itself, project.maximum_annotations) == (True, False, 1)


@pytest.mark.parametrize(("number", "versions"), [("11", ["rec-v1"]), ("46", ["rec-v1", "rec-v1"])])
def test_a_task_is_read_with_its_predictions(number: str, versions: list[str]) -> None:
    """A task as opened (11) and as patched (46) tells its predictions, drafts and meta."""
    body = recording(number)["label_studio_response"]["body"]
    task = values.task(body)
    assert [p.model_version for p in task.predictions][:1] == versions[:1]
    assert (task.id, task.project, task.labelled, task.has_draft) == (1, 2, False, False)
    assert task.raw["meta"] == body["meta"]


def test_predictions_are_listed_as_recorded() -> None:
    """Predictions of two versions on one project come with task, score and choices (16)."""
    replay = Replay("16")
    found = client_of(replay).predictions(1)
    assert replay.sent[:2] == replay.trigger
    assert {p.model_version for p in found} == {"rec-v1", "rec-v2"}
    assert {p.choices for p in found} == {frozenset({"Same"})} and all(p.updated_at > 1e9 for p in found)


def test_predictions_are_added_as_recorded() -> None:
    """Predictions are added in one call, and the count comes back (92); one alone is stored whole (91)."""
    replay = Replay("92")
    body = replay.recorded["trigger"]["body"]
    assert client_of(replay).create_predictions(45, body) == 2
    assert (*replay.trigger, body) == replay.sent
    single = values.prediction(recording("91")["label_studio_response"]["body"])
    assert (single.task, single.score, single.model_version) == (180, 0.2, "direct")


def test_an_incompatible_config_is_refused_in_one_sentence() -> None:
    """Label Studio's words about annotations that would not fit are passed on in one line (38)."""
    with pytest.raises(InputError, match=r"refused changing label_config.*1 with from_name=answer") as raised:
        client_of(Replay("38")).patch_project(2, label_config="<View/>")
    assert "\n" not in str(raised.value)


def test_tasks_are_read_from_a_page() -> None:
    """A page has its tasks with all annotations, whoever made them (67), as the task itself has them (64)."""
    replay = Replay("67")
    first = next(iter(client_of(replay).tasks(6)))
    assert replay.sent[:2] == replay.trigger
    assert replay.requests[-1].url.params["fields"] == "all"
    single = values.task(recording("64")["label_studio_response"]["body"])
    assert [a["id"] for a in first.annotations] == [a["id"] for a in single.annotations] == [14, 15, 16]
    assert first.id == single.id == 48


def test_exports_are_not_mistaken_for_pages() -> None:
    """A list where an object belongs (65, 66) is an answer from something else, and the message doubts the address."""
    for number in ("65", "66"):
        with pytest.raises(UnavailableError, match="is LABEL_STUDIO_URL right"):
            list(client_of(Replay(number)).tasks(6))


@pytest.mark.parametrize("number", ["23", "30"])
def test_a_draft_has_the_shape_of_no_annotation(number: str) -> None:
    """A draft (23), also one made from an annotation (30), belongs to no annotation: reconcile never sees it as one."""
    body = recording(number)["label_studio_response"]["body"]
    assert body["annotation"] is None and "was_cancelled" not in body


@pytest.mark.parametrize("number", ["49", "52"])
def test_an_empty_answer_is_success(number: str) -> None:
    """Deleting answers 204 with nothing (49, 52)."""
    client_of(Replay(number)).delete_task(1)


def test_other_objects_are_refused() -> None:
    """An action's result (43) is no project, task or webhook; a storage (87) is no webhook."""
    with pytest.raises(UnavailableError, match="an object with an id"):
        values.project(recording("43")["label_studio_response"]["body"])
    assert values.webhook(recording("87")["label_studio_response"]["body"]).url == ""


# --- pages


def test_pages_go_on_after_the_last_id_seen() -> None:
    """Each page asks for ids beyond the last one, so a task deleted meanwhile hides no other."""
    asked: list[list[Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        query = json.loads(request.url.params["query"])
        asked.append([query["ordering"], [(i["filter"], i["operator"], i["value"]) for i in query["filters"]["items"]]])
        start = 0 if len(asked) == 1 else PAGE
        count = PAGE if len(asked) == 1 else 3
        tasks = [{"id": start + i + 1, "project": 1, "created_at": "2026-01-01T00:00:00Z"} for i in range(count)]
        return httpx.Response(200, json={"tasks": tasks})

    assert [task.id for task in client_of(handle).tasks(1)] == list(range(1, PAGE + 4))
    assert asked == [[["tasks:id"], []], [["tasks:id"], [("filter:tasks:id", "greater", PAGE)]]]


# --- tokens


def test_the_kind_of_a_token_is_told_by_its_shape() -> None:
    """A personal access token is a JWT refresh token, a legacy token is not a JWT."""
    assert token_kind(LEGACY_TOKEN) == "legacy"
    assert token_kind("not.a.jwt") == "legacy"
    assert token_kind(jwt(token_type="refresh", exp=1)) == "personal"
    assert token_kind(jwt(token_type="access", exp=1)) == "access"


class Tokens:
    """A Label Studio that gives out access tokens with a life of 300 s and refuses old ones."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.given: list[str] = []
        self.used: list[str] = []
        self.refuse: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        if request.url.path == "/api/token/refresh":
            assert json.loads(request.content)["refresh"] == PERSONAL
            self.given.append(jwt(token_type="access", exp=self.now + 300, n=len(self.given)))
            return httpx.Response(200, json={"access": self.given[-1]})
        self.used.append(request.headers["Authorization"])
        if self.used[-1].partition(" ")[2] in self.refuse:
            return httpx.Response(401, json={"detail": "Token is expired"})
        return httpx.Response(200, json={"release": "1.23.2"})


PERSONAL = jwt(token_type="refresh", exp=9_999_999_999)


def test_an_access_token_is_renewed_before_it_ends() -> None:
    """One access token serves for most of its 300 s, then a new one is fetched."""
    tokens = Tokens()
    session = Session(URL, PERSONAL, transport=httpx.MockTransport(tokens), clock=lambda: tokens.now)
    client = LabelStudio(URL, "", session=session)
    for tokens.now in (1000.0, 1100.0, 1269.0, 1271.0):
        assert client.version() == "1.23.2"
    assert len(tokens.given) == 2
    assert tokens.used == [f"Bearer {token}" for token in [tokens.given[0]] * 3 + [tokens.given[1]]]


def test_a_refused_access_token_is_renewed_once() -> None:
    """When the clocks differ Label Studio refuses a token that looks fresh: a new one is fetched, once."""
    tokens = Tokens()
    client = client_of(tokens, PERSONAL, now=1000.0)
    client.version()
    tokens.refuse = {tokens.given[0]}
    client.version()
    assert len(tokens.given) == 2


def test_a_legacy_token_is_sent_as_it_is() -> None:
    """A legacy token needs no exchange, in our calls and in the SDK's."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200, json={"id": 1, "email": "a@example.com", "release": "1"})

    client = client_of(handle)
    client.version()
    assert client.whoami().email == "a@example.com"
    assert seen == [f"Token {LEGACY_TOKEN}"] * 2


def test_without_a_token_nothing_is_sent() -> None:
    """An empty token is an AccessError that says where to make one."""
    with pytest.raises(AccessError, match="LABEL_STUDIO_API_KEY"):
        LabelStudio(URL, "")


def test_no_token_reaches_a_log_or_a_message(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is refused, the token, the password and the secret stay out of messages and logs."""
    caplog.set_level(logging.DEBUG)

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401 if "token" not in request.url.path else 500, json={"detail": "no"})

    texts = []
    for token in (LEGACY_TOKEN, PERSONAL):
        client = client_of(handle, token)
        for call in (
            client.version,
            client.whoami,
            lambda c=client: c.connect_backend(1, "http://b", "t", BasicAuth("u", "pass-word")),
            lambda c=client: c.create_webhook(1, "http://b", {"X": "hook-secret"}, []),
        ):
            with pytest.raises(PalError) as raised:
                call()
            texts.append(str(raised.value))
    everything = " ".join(texts) + caplog.text
    assert not any(secret in everything for secret in (LEGACY_TOKEN, PERSONAL, "pass-word", "hook-secret"))


# --- failures


@pytest.mark.parametrize(
    ("status", "detail", "error", "says"),
    [
        (
            401,
            "legacy token authentication has been disabled for this organization",
            AccessError,
            "API Tokens Settings",
        ),
        (401, "Invalid token.", AccessError, "Personal Access Token"),
        (
            403,
            "URL resolves to a reserved network address (block: 127.0.0.0/8)",
            ConfigError,
            "USE_DEFAULT_BANNED_SUBNETS",
        ),
        (403, "You do not have permission", AccessError, "may not do that"),
        (404, "No Project matches", NotFoundError, "No Project matches"),
        (409, "exists", ConflictError, "exists"),
        (302, "", ConfigError, "redirect"),
        (500, "database is locked", UnavailableError, "try again"),
        (400, "bad", InputError, "bad"),
    ],
)
def test_each_refusal_has_its_error_and_says_what_to_do(
    status: int, detail: str, error: type[PalError], says: str
) -> None:
    """Label Studio's status and words become one of our errors with advice."""
    found = error_for(status, {"detail": detail}, "trying", URL)
    assert type(found) is error and says in str(found)


def test_the_advice_about_addresses_frees_one_net_alone() -> None:
    """The list to set is Label Studio's own without the network that is in the way."""
    for blocked in ("127.0.0.0/8", "172.16.0.0/12", "fc00::/7"):
        nets = address_advice(f"reserved network address (block: {blocked})").partition("SUBNETS=")[2]
        listed = nets.partition("USER_ADDITIONAL_BANNED_SUBNETS=")[2].split()[0].split(",")
        assert blocked not in listed and "169.254.0.0/16" in listed and len(listed) == len(BANNED_SUBNETS) - 1


def test_markup_and_pages_are_not_quoted() -> None:
    """An error page says nothing, and tags inside a message are dropped."""
    assert detail_of(None) == "" and detail_of("<html>") == ""
    said = detail_of({"validation_errors": {"non_field_errors": ['See <a href="x">this</a>\nplease.']}})
    assert said == "non_field_errors: See this please"

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, html="<html>Bad gateway</html>")

    with pytest.raises(UnavailableError, match="502") as raised:
        client_of(handle).project(1)
    assert "<html>" not in str(raised.value)


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures: int, failure: Exception | int) -> None:
        self.left, self.failure, self.calls = failures, failure, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Fail or answer."""
        self.calls += 1
        if self.left:
            self.left -= 1
            if isinstance(self.failure, int):
                return httpx.Response(self.failure, json={"detail": "database is locked"})
            raise self.failure
        return httpx.Response(201, json={"release": "1.23.2", "task_ids": [1], "created": 1})


@pytest.mark.parametrize("failure", [httpx.ConnectError("no"), httpx.ReadTimeout("slow"), 500, 503])
def test_reading_is_tried_again(failure: Exception | int) -> None:
    """A call that may be repeated survives two failures, and the third is reported."""
    assert client_of(Flaky(2, failure)).version() == "1.23.2"
    flaky = Flaky(9, failure)
    with pytest.raises(UnavailableError):
        client_of(flaky).version()
    assert flaky.calls == 3


@pytest.mark.parametrize(
    ("failure", "calls"), [(httpx.ConnectError("no"), 2), (httpx.ReadTimeout("slow"), 1), (500, 1), (409, 1)]
)
def test_an_import_is_never_sent_twice(failure: Exception | int, calls: int) -> None:
    """A POST is repeated only when it never left us; the SDK's own repeating is off too."""
    flaky = Flaky(1, failure)
    with suppress(UnavailableError, ConflictError):
        client_of(flaky).import_tasks(1, [{"data": {}}])
    assert flaky.calls == calls
    flaky = Flaky(1, failure)
    with suppress(UnavailableError, ConflictError):
        client_of(flaky).create_webhook(1, "http://b", {}, [])
    assert flaky.calls == calls


def test_an_import_in_the_background_is_refused() -> None:
    """Other editions answer an import without task ids, by which we could not find the tasks again."""
    with pytest.raises(UnavailableError, match="Community"):
        client_of(lambda _: httpx.Response(201, json={"import": 5})).import_tasks(1, [{"data": {}}])


# --- a real Label Studio


@pytest.fixture(params=["personal", "legacy"])
def client(request: pytest.FixtureRequest, label_studio: LabelStudioServer) -> Iterator[LabelStudio]:
    """A client with either kind of token."""
    token = label_studio.pat if request.param == "personal" else label_studio.legacy_token
    assert token_kind(token) == request.param
    with closing(LabelStudio(f"{label_studio.url}/", token)) as client:
        yield client


@pytest.mark.e2e
def test_both_kinds_of_token_do_everything(client: LabelStudio, label_studio: LabelStudioServer) -> None:
    """Projects, configs, tasks, predictions and webhooks, with a personal access token and with a legacy token."""
    assert (client.version(), client.whoami().email) == ("1.23.2", label_studio.email)
    client.check_config(pair_config())
    client.check_config(screen_config())
    with pytest.raises(InputError, match="label_config"):
        client.check_config("<View>")
    project = client.create_project("both", "about", pair_config()).id
    assert project in {found.id for found in client.projects()}
    data = {"left": "http://127.0.0.1/a.png", "right": "http://127.0.0.1/b.png"}
    prediction = {"result": [], "score": 0.25, "model_version": "v1"}
    first, second = client.import_tasks(project, [{"data": data, "predictions": [prediction]}, {"data": data}])
    assert client.create_predictions(project, [{"task": second, **prediction}]) == 1
    (stored,) = client.predictions(second)
    client.patch_prediction(stored.id, score=0.75)
    assert [(p.score, p.choices) for t in client.tasks(project) for p in t.predictions] == [
        (0.25, frozenset()),
        (0.75, frozenset()),
    ]
    client.delete_predictions(project, "v1")
    assert [task.predictions for task in client.tasks(project, newest=True)] == [(), ()]
    hook = client.create_webhook(project, "http://127.0.0.1:9/x", {"X-A": "b"}, ["TASKS_DELETED"])
    assert client.webhooks(project) == [hook]
    client.delete_webhook(hook.id)
    client.delete_task(first)
    client.delete_task(first)
    assert (client.task_exists(first), client.task_exists(second), client.annotation_exists(10**6)) == (
        False,
        True,
        False,
    )
    with pytest.raises(NotFoundError):
        client.project(10**6)


@pytest.mark.e2e
def test_drafts_of_others_are_seen(client: LabelStudio, label_studio: LabelStudioServer) -> None:
    """A task that somebody else drafts is known as such, though Label Studio lists only the caller's own drafts."""
    project = client.create_project("drafts", "", pair_config()).id
    data = {"left": "http://127.0.0.1/a.png", "right": "http://127.0.0.1/b.png"}
    (task,) = client.import_tasks(project, [{"data": data}])
    with closing(label_studio.second_user(f"drafter{project}@example.com")) as other:
        other.post(f"/api/tasks/{task}/drafts", json={"lead_time": 1, "result": []}).raise_for_status()
    (found,) = client.tasks(project)
    assert found.has_draft and found.raw["drafts"] == []
    (draft,) = client.drafts(task)
    assert (draft.email, draft.empty, draft.import_id) == (f"drafter{project}@example.com", True, None)
    assert draft.email in client.members().values()
    client.delete_draft(draft.id)
    client.delete_draft(draft.id)
    assert client.drafts(task) == client.drafts(10**6) == []


@pytest.mark.e2e
def test_disabled_legacy_tokens_are_explained(label_studio: LabelStudioServer) -> None:
    """With legacy tokens switched off for the organization, the error says which switch, and the personal token works."""
    with closing(label_studio.sign_in()) as admin:
        switch = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": False}
        admin.post("/api/jwt/settings", json=switch).raise_for_status()
        try:
            with pytest.raises(AccessError, match="personal access token"):
                LabelStudio(label_studio.url, label_studio.legacy_token).whoami()
            assert LabelStudio(label_studio.url, label_studio.pat).whoami().email == label_studio.email
        finally:
            admin.post("/api/jwt/settings", json={**switch, "legacy_api_tokens_enabled": True}).raise_for_status()
