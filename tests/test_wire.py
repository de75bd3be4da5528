import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_config import render
from label_config.results import pair_result, screen_result
from pal_backend import wire
from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import AnnotationKey, Origin, Pair, Purpose, Question, QuestionKind, Verdict
from pal_backend.errors import InputError

A, B, C, D = (digit * 16 for digit in "abcd")
PAIR = Question(QuestionKind.PAIR, B, (A,), probabilities=(0.25,), informativeness=0.75)
SCREEN = Question(QuestionKind.SCREEN, A, (B, C, D), probabilities=(0.9, 0.5, 0.0), informativeness=0.5, round=2)
RECORDINGS = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Desk:
    """A name is all that the wire needs of a desk."""

    name: str = "pairs"


def recorded(name: str, number: int = 0) -> Any:
    """The body of one recorded request."""
    (file,) = RECORDINGS.glob(name + "_*.json")
    return json.loads(file.read_text())["requests_sent_by_label_studio"][number]["body"]


def annotation(**changes: Any) -> dict[str, Any]:
    """An annotation of a pair as Label Studio states it."""
    return {
        "id": 7,
        "task": 3,
        "project": 2,
        "completed_by": 1,
        "updated_at": "1970-01-01T00:00:01Z",
        "result": [{**pair_result("Same")[0], "origin": "manual"}],
        **changes,
    }


def screen_annotation(result: list[dict[str, Any]], **changes: Any) -> wire.Submission:
    """A submission on a screen."""
    return wire.parse_submission(annotation(result=result, **changes))


# ---- events -------------------------------------------------------------------------------------------------------------


def test_a_created_annotation_is_read_whole() -> None:
    """Everything the learner needs of an annotation comes out of a recorded webhook."""
    event = wire.parse_event(recorded("24"))
    assert event == wire.Submitted(
        (
            wire.Submission(
                annotation=1,
                task=1,
                project=2,
                annotator="1",
                updated_at=1_795_296_168_108_805,
                skipped=False,
                choices={"answer": ("Same",)},
                origins={"answer": "manual"},
                seconds=3.2,
            ),
        ),
        project=2,
    )


def test_no_token_is_kept() -> None:
    """Invite tokens and access tokens in a body are in nothing that comes out."""
    assert "<PROJECT_INVITE_TOKEN>" in json.dumps(recorded("24"))
    assert "TOKEN" not in repr(wire.parse_event(recorded("24")))
    assert "TOKEN" in json.dumps(recorded("04", 1))
    assert "TOKEN" not in repr(wire.parse_setup(recorded("04", 1)))


def test_bulk_annotations_are_accepted_guesses() -> None:
    """Predictions turned into annotations say "manual", but nobody looked at them."""
    event = wire.parse_event(recorded("41"))
    assert isinstance(event, wire.Submitted)
    assert [(s.annotation, s.task, s.choices, s.origins) for s in event.submissions] == [
        (6, 6, {"answer": ("Same",)}, {"answer": "prediction"}),
        (7, 7, {"answer": ("Different",)}, {"answer": "prediction"}),
    ]


def test_an_answer_given_on_a_prediction_keeps_its_origin() -> None:
    """A person's own submission on a predicted task is what the browser says it is."""
    (submission,) = wire.parse_event(recorded("27")).submissions  # type: ignore[attr-defined]
    assert submission.origins == {"answer": "manual"}


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"action": "ANNOTATION_CREATED"}, wire.ReconcileRequested("ANNOTATION_CREATED without its content")),
        ({"action": "ANNOTATIONS_DELETED"}, wire.ReconcileRequested("ANNOTATIONS_DELETED without its content")),
        ({"action": "TASKS_DELETED"}, wire.ReconcileRequested("TASKS_DELETED without its content")),
        (
            {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 3}, 4], "project": {"id": 2}},
            wire.Deleted((3, 4), project=2),
        ),
        ({"action": "TASKS_DELETED", "tasks": [{"id": 9}], "project": {"id": 2}}, wire.TasksDeleted((9,), project=2)),
        ({"action": "START_TRAINING", "project": {"id": 2}}, wire.TrainingRequested(project=2)),
        ({"action": "PROJECT_UPDATED", "project": {"label_config": "<View/>"}}, wire.ProjectUpdated("<View/>")),
        ({"action": "PROJECT_UPDATED"}, wire.ProjectUpdated("")),
        ({"action": "TASKS_CREATED"}, wire.Ignored("TASKS_CREATED")),
        ({"action": "TASKS_CREATED", "tasks": [{"id": 1, "total_annotations": 0}]}, wire.Ignored("TASKS_CREATED")),
        (
            {"action": "TASKS_CREATED", "tasks": [{"id": 1, "total_annotations": 1}]},
            wire.ReconcileRequested("tasks were imported with annotations"),
        ),
        ({"action": "LABEL_LINK_CREATED"}, wire.Ignored("LABEL_LINK_CREATED")),
    ],
)
def test_every_action_has_its_event(body: dict[str, Any], event: wire.Event) -> None:
    """Each action, with or without its content, means one thing."""
    assert wire.parse_event(body) == event


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "ANNOTATION_CREATED",
        {},
        {"action": None},
        {"action": "A" * 101},
        {"action": "ANNOTATION_CREATED", "annotation": None},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(id="7")},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(task=None)},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(updated_at=None)},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(result={})},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(result=[1])},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(result=[{"type": "choices", "from_name": "a"}])},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(completed_by={"id": "x"})},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(lead_time=math.inf)},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(was_cancelled="no")},
        {"action": "ANNOTATION_CREATED", "annotation": annotation(), "task": 3},
        {"action": "ANNOTATIONS_CREATED", "annotation": [annotation()], "task": [{"id": []}]},
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": None}]},
        {"action": "ANNOTATIONS_DELETED", "annotations": {"id": 1}},
        {"action": "TASKS_CREATED", "tasks": 5},
        {"action": "START_TRAINING", "project": {"id": "x"}, "more": 1} | {"project": [1]},
        {"action": "PROJECT_UPDATED", "project": {"label_config": 5}},
    ],
)
def test_malformed_events_are_refused(body: Any) -> None:
    """What Label Studio never sends is refused with a sentence, and means nothing."""
    with pytest.raises(InputError, match=r"expected|are read"):
        wire.parse_event(body)


def test_rows_of_other_controls_are_passed_over() -> None:
    """A team may add a comment field to the config; it does not disturb the answer."""
    rows = [{"type": "textarea", "from_name": "comment", "value": {"text": ["hm"]}}, *pair_result("Unsure")]
    assert wire.parse_submission(annotation(result=rows)).choices == {"answer": ("Unsure",)}


def test_annotations_of_the_api_read_like_those_of_webhooks() -> None:
    """Who answered is an object in GET /api/tasks/id and a number in a webhook; both give the same person."""
    task = json.loads((RECORDINGS / "64_overlap2_task_get.json").read_text())["label_studio_response"]["body"]
    by_api = [wire.parse_submission(one, task) for one in task["annotations"]]
    by_webhook = [wire.parse_event(recorded(name)).submissions[0] for name in ("61", "62", "63")]  # type: ignore[attr-defined]
    assert by_api == by_webhook


def test_training_may_be_asked_for_in_two_ways() -> None:
    """/train means what START_TRAINING means."""
    assert (
        wire.parse_train({"project": "2.17"}) == wire.TrainingRequested(project=2) == wire.parse_train({"project": 2})
    )
    with pytest.raises(InputError):
        wire.parse_train([])


def test_receipts() -> None:
    """A training gets a job id, everything else an "ok"."""
    assert wire.receipt_json(wire.TrainingRequested(), "1-0") == {"job": "train-1-0"}
    assert wire.receipt_json(wire.Deleted((1,)), "1-0") == wire.receipt_json(wire.Ignored("X"), "") == {"status": "ok"}


# ---- the stream -----------------------------------------------------------------------------------------------------------

ids = st.integers(0, 2**53 - 1)
submissions = st.builds(
    wire.Submission,
    annotation=ids,
    task=ids,
    project=ids,
    annotator=st.text(st.characters(codec="utf-8"), max_size=20),
    updated_at=ids,
    skipped=st.booleans(),
    choices=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3).map(tuple),
        max_size=3,
    ),
    origins=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5), st.sampled_from([str(o) for o in Origin]), max_size=3
    ),
    seconds=st.none() | st.floats(0, 1e9),
    meta=st.none() | st.just(wire.TaskMeta(SCREEN, "birds", "screens")),
)
events = st.one_of(
    st.builds(wire.Submitted, st.lists(submissions, max_size=3).map(tuple), project=ids),
    st.builds(wire.Deleted, st.lists(ids, max_size=5).map(tuple), project=ids),
    st.builds(wire.TasksDeleted, st.lists(ids, max_size=5).map(tuple), project=ids),
    st.builds(wire.TrainingRequested, project=ids),
    st.builds(wire.ReconcileRequested, st.text(st.characters(codec="utf-8"), max_size=50), project=ids),
)


@given(events)
def test_events_survive_the_stream(event: wire.Event) -> None:
    """Every event that is kept comes back as it was, through JSON text."""
    assert wire.event_from_json(json.loads(json.dumps(event.to_json()))) == event


@pytest.mark.parametrize("value", [None, [], {}, {"type": "Ignored", "project": 0}, {"type": "Deleted", "project": 0}])
def test_spoilt_entries_are_refused(value: Any) -> None:
    """An entry that is none of ours is an InputError, which the stream turns into a reconcile."""
    with pytest.raises(InputError):
        wire.event_from_json(value)


# ---- answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_pair_gives_one_answer(verdict: Verdict) -> None:
    """Same, Different and Unsure are each one answer about the canonical pair, with the belief held when asking."""
    submission = wire.parse_submission(annotation(result=pair_result(verdict.capitalize())))
    found = wire.to_annotation(submission, PAIR, Desk())
    (answer,) = found.answers
    assert (answer.pair, answer.verdict, answer.predicted) == (Pair(A, B), verdict, 0.25)
    assert answer.annotation == found.key == AnnotationKey("pairs", 7)
    assert (found.task, found.question, found.annotator, found.updated_at) == (3, PAIR.id, "1", 1_000_000)


def test_an_answer_knows_why_it_was_asked_and_about_what() -> None:
    """A pair's answer has its question's purpose and candidate; on a screen the checks among the candidates verify, the rest place."""
    submission = wire.parse_submission(annotation(result=pair_result("Same")))
    (answer,) = wire.to_annotation(submission, replace(PAIR, purpose=Purpose.VERIFY), Desk()).answers
    assert (answer.purpose, answer.candidate) == (Purpose.VERIFY, *PAIR.candidates)
    found = wire.to_annotation(screen_annotation(screen_result([C])), replace(SCREEN, checks=(C,)), Desk())
    assert [a.purpose for a in found.answers] == [Purpose.PLACE, Purpose.VERIFY, Purpose.PLACE]
    assert [a.candidate for a in found.answers] == [B, C, D]


def test_origins_reach_the_answers() -> None:
    """An accepted guess is marked, on a pair and on a screen; on a screen by the control that was used."""
    row = {**pair_result("Same")[0], "origin": "prediction"}
    (answer,) = wire.to_annotation(wire.parse_submission(annotation(result=[row])), PAIR, Desk()).answers
    assert answer.origin is Origin.PREDICTION
    rows = [{**screen_result([B])[0], "origin": "prediction-changed"}]
    assert {a.origin for a in wire.to_annotation(screen_annotation(rows), SCREEN, Desk()).answers} == {
        Origin.PREDICTION_CHANGED
    }
    rows = [{**screen_result([])[0], "origin": "manual"}]
    assert {a.origin for a in wire.to_annotation(screen_annotation(rows), SCREEN, Desk()).answers} == {Origin.MANUAL}


def test_an_unknown_origin_counts_as_by_hand() -> None:
    """Origins of other tools are not taken for accepted guesses."""
    row = {**pair_result("Same")[0], "origin": {"x": 1}}
    assert wire.parse_submission(annotation(result=[row])).origins == {"answer": "manual"}


VERDICT_ROW = {"from_name": "verdict", "to_name": "anchor", "type": "choices"}
CANNOT = {**VERDICT_ROW, "value": {"choices": ["Cannot tell"]}}
NONE = {**VERDICT_ROW, "value": {"choices": ["None of these"]}}


@pytest.mark.parametrize(
    ("rows", "verdicts", "note"),
    [
        (screen_result([C]), ["different", "same", "different"], ""),
        (screen_result([B, C, D]), ["same"] * 3, ""),
        ([NONE], ["different"] * 3, ""),
        ([CANNOT], ["unsure"] * 3, ""),
        ([*screen_result([B]), NONE], [], "ticks and 'None of these' contradict each other"),
        ([*screen_result([B]), CANNOT], [], "ticks and 'Cannot tell' contradict each other"),
        ([], [], "nothing was ticked or chosen"),
        (screen_result(["e" * 16]), [], "1 of 1 ticks are not on candidates of this question"),
    ],
)
def test_a_screen_gives_k_answers_or_none(rows: list[dict[str, Any]], verdicts: list[str], note: str) -> None:
    """Ticks are same, the rest different; "Cannot tell" is unsure; contradictions say nothing, with a note."""
    found = wire.to_annotation(screen_annotation(rows), SCREEN, Desk("screens"))
    assert [a.verdict for a in found.answers] == verdicts
    assert found.note == note
    assert [a.pair for a in found.answers] == [Pair.of(A, x) for x in (B, C, D)][: len(verdicts)]


def test_beliefs_of_zero_are_not_known() -> None:
    """Calibration takes logarithms: a belief of exactly 0 or 1 is left out."""
    found = wire.to_annotation(screen_annotation([NONE]), SCREEN, Desk())
    assert [a.predicted for a in found.answers] == [0.9, 0.5, None]
    found = wire.to_annotation(screen_annotation([NONE]), replace(SCREEN, probabilities=()), Desk())
    assert [a.predicted for a in found.answers] == [None] * 3


def test_skips_have_no_answers() -> None:
    """A skip says nothing, even when something had been chosen before it."""
    found = wire.to_annotation(wire.parse_submission(annotation(was_cancelled=True)), PAIR, Desk())
    assert (found.answers, found.skipped, found.note) == ((), True, "skipped")


def test_an_empty_pair_has_no_answers() -> None:
    """Label Studio takes an empty submission; it is kept, with a note, and says nothing."""
    found = wire.to_annotation(wire.parse_submission(annotation(result=[])), PAIR, Desk())
    assert (found.answers, found.skipped) == ((), False)
    assert "not exactly one" in found.note


# ---- tasks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question", [PAIR, SCREEN, replace(PAIR, purpose=Purpose.VERIFY, probabilities=()), replace(SCREEN, checks=(C,))]
)
def test_a_task_says_what_it_asks(question: Question) -> None:
    """A task's meta is enough to know the question again, through JSON."""
    task = wire.task_json(question, project="birds", desk="d", media_url="http://h/{}".format)
    meta = wire.TaskMeta.from_json(json.loads(json.dumps(task["meta"])))
    assert meta == wire.TaskMeta(question, "birds", "d")
    assert task["meta"]["question_id"] == question.id


def test_tasks_have_the_data_of_their_config() -> None:
    """A pair names two pictures, a screen an anchor and its candidates by sample id."""
    pair = wire.task_json(PAIR, project="p", desk="d", media_url="http://h/{}".format)
    assert pair["data"] == {"left": f"http://h/{B}", "right": f"http://h/{A}"}
    screen = wire.task_json(SCREEN, project="p", desk="d", media_url="http://h/{}".format, predictions=[{"score": 0.5}])
    assert [c["value"] for c in screen["data"]["candidates"]] == [B, C, D]
    assert screen["predictions"] == [{"score": 0.5}]
    assert "drafts" not in pair
    small = wire.task_json(
        SCREEN, project="p", desk="d", media_url="http://h/{}".format, small_url="http://s/{}".format
    )
    assert small["data"]["anchor"].startswith("http://h/")
    assert all('src="http://s/' in candidate["html"] for candidate in small["data"]["candidates"])


def test_a_task_kept_from_people_has_their_empty_drafts() -> None:
    """Put off and empty, in each one's name, with the number by which they are known again."""
    task = wire.task_json(PAIR, project="p", desk="d", media_url=str, kept_from=["a@b.de", "c@d.de"])
    assert [draft.pop("user") for draft in task["drafts"]] == ["a@b.de", "c@d.de"]
    assert task["drafts"] == [{"id": wire.PLACEHOLDER, "result": [], "was_postponed": True}] * 2


META = wire.TaskMeta(SCREEN, "birds", "d").to_json()


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        {"query_id": "q1", "batch": 1},
        {**META, "question_id": "0" * 16},
        {**META, "anchor": "../../etc/passwd"},
        {**META, "candidates": []},
        {**META, "candidates": [A, B, C]},
        {**META, "candidates": "abc"},
        {**META, "kind": "pair"},
        {**META, "kind": "riddle"},
        {**META, "purpose": None},
        {**META, "probabilities": [0.1]},
        {**META, "probabilities": [0.1, 0.2, math.nan]},
        {**META, "informativeness": 2},
        {**META, "round": -1},
        {**META, "gain": -1.0},
        {**META, "gain": None},
        {**META, "checks": ["0" * 16]},
        {**META, "checks": None},
        {**META, "project": 5},
    ],
)
def test_meta_of_others_is_not_ours(meta: Any) -> None:
    """Meta that somebody else wrote, or changed, names no question."""
    assert wire.TaskMeta.from_json(meta) is None


def test_meta_from_before_questions_had_a_gain_is_read() -> None:
    """Tasks posted by an earlier release keep their answers; the gain stands in new ones."""
    earlier = {name: value for name, value in META.items() if name not in ("gain", "checks")}
    assert wire.TaskMeta.from_json(earlier) == wire.TaskMeta(SCREEN, "birds", "d")
    gainful = wire.TaskMeta(replace(SCREEN, gain=3.25), "birds", "d")
    assert wire.TaskMeta.from_json(gainful.to_json()) == gainful


# ---- requests -------------------------------------------------------------------------------------------------------------


def test_setup_is_read() -> None:
    """Label Studio's project, config and host come out of a recorded /setup."""
    request = wire.parse_setup(recorded("04", 1))
    assert (request.project, request.url_project, request.hostname) == (2, "2.1795296157", "<LS_URL>")
    assert "<Choices" in request.label_config
    assert wire.parse_setup({}) == wire.SetupRequest(0, "", "", "")
    for spoilt in ([], {"project": True}, {"schema": 1}, {"hostname": "h" * 2000}):
        with pytest.raises(InputError):
            wire.parse_setup(spoilt)


def test_extra_parameters_are_read_as_names() -> None:
    """An object or the text of one; what is not ours is passed over, and what was not sent asks for nothing anew."""
    assert wire.parse_setup(recorded("04", 1)).asked == Choice()
    assert wire.parse_setup({}).asked is None
    said = {"recipe": "vicreg", "backbone": "small", "weights": "w.pth", "tuning": "head"}
    for sent in (said | {"a": [1]}, json.dumps(said), said | {"b": None}):
        assert wire.parse_setup({"extra_params": sent}).asked == Choice("vicreg", "small", "w.pth", "head")
    for nothing in (None, {}, "", "  ", "{}", "null", {"recipe": None}):
        assert wire.parse_setup({"extra_params": nothing}).asked == Choice()


@pytest.mark.parametrize(
    "sent",
    [
        *([], 5, True, "recipe: scl", "[1]", "[" * 100_000, '{"recipe": NaN}', {"recipe": 5}, {"backbone": ["small"]}),
        *({"weights": {"path": "w"}}, {"tuning": "x" * 2000}, {"backbone": "\ud800"}, "x" * 20_000),
    ],
)
def test_extra_parameters_of_other_types_are_refused(sent: object) -> None:
    """The field is named; nothing endless is read."""
    with pytest.raises(InputError, match="extra_params"):
        wire.parse_setup({"extra_params": sent})


def test_every_task_of_a_predict_is_kept() -> None:
    """A task that cannot be read still has its place, since each must get its answer."""
    request = wire.parse_tasks({"tasks": [{"id": 1}, {}, None, {"id": "2"}, {"id": True}], "project": "x.y"})
    assert [task.id for task in request.tasks] == [1, None, None, None, None]
    assert request.project == 0
    assert len(wire.parse_tasks(recorded("13", 2)).tasks) == 3
    with pytest.raises(InputError, match="tasks is a NoneType; expected a list"):
        wire.parse_tasks({})


# ---- predictions ------------------------------------------------------------------------------------------------------------


def guess(question: Question | None, **more: Any) -> dict[str, Any]:
    """One prediction, shown unless said otherwise."""
    return wire.prediction_json(question, **{"score": 0.25, "model_version": "v0001", "show": True, **more})


def scored(rows: list[dict[str, Any]], score: float) -> list[dict[str, Any]]:
    """A guess's rows with the chance that it is right."""
    return [{**row, "score": score} for row in rows]


def test_guesses_follow_the_probabilities() -> None:
    """The likelier verdict of a pair, the candidates of at least even odds on a screen, none of them if none is; each
    row with the chance that the whole guess is right.
    """
    assert guess(PAIR, probabilities=(0.5,))["result"] == scored(pair_result("Same"), 0.5)
    assert guess(PAIR, probabilities=(0.4,))["result"] == scored(pair_result("Different"), 0.6)
    assert guess(SCREEN, probabilities=(0.9, 0.1, 0.6))["result"] == scored(screen_result([B, D]), 0.486)
    assert guess(SCREEN, probabilities=(0.1, 0.1, 0.1))["result"] == scored(screen_result([]), 0.729)


@pytest.mark.parametrize(
    "prediction",
    [
        guess(None),
        guess(PAIR, probabilities=(0.9,), show=False),
        guess(replace(PAIR, purpose=Purpose.RECHECK), probabilities=(0.9,)),
        guess(replace(PAIR, purpose=Purpose.VERIFY), probabilities=(0.9,)),
        guess(replace(SCREEN, checks=(D,)), probabilities=(0.9, 0.1, 0.6)),
        guess(PAIR, probabilities=()),
    ],
)
def test_score_only_predictions(prediction: dict[str, Any]) -> None:
    """Nothing is shown on strangers' tasks, on blind desks, on re-checks, verifications and screens that hold a check, or
    when nothing is known.
    """
    assert prediction == {"result": [], "score": 0.25, "model_version": "v0001"}


@given(st.floats())
def test_scores_are_finite_and_in_range(score: float) -> None:
    """Label Studio refuses a whole action for one score that is not a number, and stores 7.5: we send neither."""
    assert 0 <= guess(PAIR, score=score)["score"] <= 1


def test_guesses_fit_the_config_sent_along() -> None:
    """A guess that the desk's config cannot hold is left out; the score stays."""
    predictions = wire.Predictions((wire.Guess(PAIR, 0.1, (0.9,), True), wire.Guess(None, 1.0)), "v0001")

    def first(config: str) -> Any:
        found = wire.predictions_json(predictions, config)["results"]
        assert [one["score"] for one in found] == [0.1, 1.0]
        return found[0]["result"]

    assert first(render.pair_config()) == scored(pair_result("Same"), 0.9)
    assert first(render.screen_config()) == []
    assert first(render.pair_config().replace('value="Same"', 'value="Equal"')) == []
    assert first("") == first("<View") == []
