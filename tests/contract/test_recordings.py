"""Every request that Label Studio was recorded to send, sent again to the real app on a real Redis."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from label_config.results import pair_result
from pal_backend import wire
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.contract.table import SEEDED, TABLE, Row, Said
from tests.web_side import PROJECT, SAMPLES, WebSide

RECORDINGS = Path(__file__).parents[1] / "recordings"


def requests_of(name: str) -> list[dict[str, Any]]:
    """What Label Studio sent in one recording."""
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    found: list[dict[str, Any]] = recording["requests_sent_by_label_studio"]
    return found


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """The web side with a question on every task that the table names."""
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    for task in SEEDED:
        question = Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[1],), round=task)
        side.post_question(question, task, score=task / 1000, probabilities=(0.9 if task % 2 else 0.1,))
    return side


def send(web: WebSide, request: dict[str, Any], body: Any) -> httpx.Response:
    """Send a recorded request to the desk, with the credential that Label Studio was given for it."""
    last = request["path"].rpartition("/")[2]
    path = f"/p/{PROJECT}/pairs/{'webhook' if last.startswith('hook') else last}"
    training = isinstance(body, dict) and body.get("action") == "START_TRAINING"
    by_secret = path.endswith("webhook") and not training
    response: httpx.Response = web.client.request(
        request["method"],
        path,
        content=None if body is None else json.dumps(body).encode(),
        auth=None if by_secret or last == "health" else web.basic,
        headers=web.secret if by_secret else {},
    )
    return response


def test_the_table_has_a_row_for_every_request() -> None:
    """Sixty-three recordings hold requests; the table has each, with as many rows as requests."""
    names = sorted(path.stem for path in RECORDINGS.glob("[0-9]*.json"))
    with_requests = {name: len(requests_of(name)) for name in names if requests_of(name)}
    assert len(names) == 85
    assert with_requests == {name: len(rows) for name, (_, rows) in TABLE.items()}
    assert len(with_requests) == 63


@pytest.mark.parametrize("name", TABLE)
def test_recorded_requests(web: WebSide, name: str) -> None:
    """Status, body and effect of each request of a recording are those of the table."""
    project, rows = TABLE[name]
    web.save(pairs=project)
    before = 0
    for request, row in zip(requests_of(name), rows, strict=True):
        response = send(web, request, request["body"])
        stream = web.stores.events(PROJECT).read("0-0", 100)
        new = stream[before:]
        before = len(stream)
        assert response.status_code == row.status, response.text
        assert response.request.url.path.endswith(row.path)
        check_body(row, response.json(), new[0].id if new else "")
        assert [stored.desk for stored in new] == ["pairs"] * len(new)
        check_effect(web, row, [stored.event for stored in new])


def check_body(row: Row, body: Any, entry: str) -> None:
    """Hold a body against the table's."""
    if row.body == "job":
        assert body == {"job": f"train-{entry}"}
    elif row.path == "predict":
        for found, (guess, score) in zip(body["results"], row.body, strict=True):
            right = [{**pair_result(guess)[0], "score": found["result"][0]["score"]}] if guess else []
            assert found == {"result": right, "score": score, "model_version": "v0000"}
            assert all(0.5 <= line["score"] <= 1.0 for line in right)
    else:
        assert body == row.body


def check_effect(web: WebSide, row: Row, events: list[wire.Event]) -> None:
    """Hold what stands in the stream, and what it says about our questions, against the table's effect."""
    if row.effect is None:
        assert events == []
        return
    (event,) = events
    kind, content = row.effect
    assert type(event).__name__ == kind
    match event:
        case wire.Submitted(submissions):
            assert [what_was_said(web, one) for one in submissions] == list(content)
        case wire.Deleted(ids) | wire.TasksDeleted(ids):
            assert ids == content
        case wire.ReconcileRequested(reason):
            assert reason == content
        case _:
            assert event == wire.TrainingRequested(project=event.project)


def what_was_said(web: WebSide, submission: wire.Submission) -> Said:
    """A submission in the words of the table, its verdict by way of the question its task asks."""
    posted = web.stores.questions(PROJECT).by_task("pairs", submission.task)
    assert posted is not None
    annotation = wire.to_annotation(submission, posted.question, web.stores.projects.get(PROJECT).desk("pairs"))
    verdicts = {answer.pair: answer.verdict for answer in annotation.answers}
    assert set(verdicts) <= set(posted.question.pairs)
    at = datetime.fromtimestamp(submission.updated_at // 1_000_000).astimezone().utctimetuple()
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}.{submission.updated_at % 1_000_000:06}"
    assert (at.tm_year, at.tm_mon, at.tm_mday) == (2026, 11, 21)
    return Said(
        annotation=submission.annotation,
        task=submission.task,
        at=clock,
        verdict=verdicts.get(posted.question.pairs[0]),
        annotator=submission.annotator,
        seconds=submission.seconds,
        origin=str(annotation.answers[0].origin) if annotation.answers else "manual",
        skipped=annotation.skipped,
    )


# ---- the same requests, spoilt ---------------------------------------------------------------------------------------------

WITH_BODIES = [
    (name, place)
    for name in TABLE
    for place, request in enumerate(requests_of(name))
    if isinstance(request["body"], dict)
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "\ud800", "x" * 1001, "2.x", "\x00", "-1", "9" * 30]),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just({"id": {}}),
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in paths_of(part, (*path, key)))]


def spoil(body: Any, path: tuple[Any, ...], junk: Any, drop: bool) -> Any:
    """The body with the value at ``path`` dropped or replaced."""
    if not path:
        return junk
    spoilt = copy.deepcopy(body)
    holder = spoilt
    for key in path[:-1]:
        holder = holder[key]
    if drop:
        del holder[path[-1]]
    else:
        holder[path[-1]] = junk
    return spoilt


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_spoilt_requests_never_break_the_server(web: WebSide, data: st.DataObject) -> None:
    """A recorded request with a value dropped or of another type is answered 2xx or 4xx, in words, never 5xx."""
    name, place = data.draw(st.sampled_from(WITH_BODIES))
    request = requests_of(name)[place]
    web.save(pairs=0)
    path = data.draw(st.sampled_from(paths_of(request["body"])))
    body = spoil(request["body"], path, data.draw(JUNK), data.draw(st.booleans()))
    response = send(web, {**request, "body": body}, body)
    assert response.status_code < 500, response.text
    assert response.status_code < 300 or response.json()["detail"]
    kept = web.stream()
    assert not [event for _, event in kept if getattr(event, "reason", "").startswith("unreadable")]
    web.stores.redis.delete(f"pal:{PROJECT}:events")
