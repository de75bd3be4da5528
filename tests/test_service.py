import logging
from dataclasses import replace
from pathlib import Path

import pytest
from rq import Queue

from label_config import render
from label_config.results import pair_result
from pal_backend import wire
from pal_backend.choosing import Operator
from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import Purpose, Question, QuestionKind
from pal_backend.errors import ConflictError, InputError, NotFoundError, UnavailableError
from pal_backend.media import MediaFiles, MediaLinks
from pal_backend.queues import LEARN, Queues
from pal_backend.service import NO_VERSION, Address, Service
from pal_backend.settings import Settings
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.connection import connect
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from tests.conftest import free_port
from tests.web_side import PROJECT, SAMPLES, WebSide

PAIRS, SCREENS, BARE = Address(PROJECT, "pairs"), Address(PROJECT, "screens"), Address()
PAIR = Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[1],), probabilities=(0.2,), informativeness=0.75)
SCREEN = Question(QuestionKind.SCREEN, SAMPLES[0], SAMPLES[1:4], probabilities=(0.2, 0.7, 0.9), informativeness=0.5)
EVENT = wire.Deleted((1,), project=2)


class CountingArtefacts(Artefacts):
    """Counts what is read."""

    reads = 0

    def read(self, path: str) -> bytes:
        """Count and read."""
        self.reads += 1
        return super().read(path)


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """The web side with a model version."""
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    return side


def predict(web: WebSide, *tasks: wire.WireTask, address: Address = PAIRS, project: int = 0) -> tuple[wire.Guess, ...]:
    """Guesses for tasks."""
    return web.service.predict(address, wire.PredictRequest(project, tasks, "")).guesses


def jobs(web: WebSide) -> int:
    """How many learn jobs wait."""
    with connect(web.settings.redis_url, text=False) as client:
        return int(Queue(LEARN, connection=client).count)


# ---- setup ---------------------------------------------------------------------------------------------------------------


def test_setup_says_the_current_version(web: WebSide) -> None:
    """Label Studio is told the version that is current; none before there is one."""
    request = wire.SetupRequest(2, "2.1", render.pair_config(), "http://ls")
    assert web.service.setup(PAIRS, request) == "v0000"
    web.stores.projects.save(Project("empty", "/", (Desk("d", QuestionKind.PAIR, 9, 1, 1),)))
    assert web.service.setup(Address("empty", "d"), wire.SetupRequest(9, "9.1", "", "")) == NO_VERSION


def test_setup_reads_no_artefact(web: WebSide) -> None:
    """Setting up takes a few words from Redis and opens no file."""
    artefacts = CountingArtefacts(web.settings.artefact_root)
    service = Service(
        Stores(web.stores.redis, artefacts),
        Queues(web.settings.redis_url),
        MediaLinks("k", "http://h"),
        MediaFiles(artefacts, lambda: 0.0),
        Operator(),
    )
    web.revision([0] * 12)
    assert service.setup(PAIRS, wire.SetupRequest(2, "2.1", render.pair_config(), "")) == "v0000"
    assert artefacts.reads == 0
    service.predict(PAIRS, wire.PredictRequest(2, (), ""))
    assert artefacts.reads > 0


def test_setup_keeps_what_the_extra_parameters_ask_for(web: WebSide) -> None:
    """The status shows it with who said so; an old server that passes none on changes nothing."""
    asked = wire.SetupRequest(2, "2.1", "", "", Choice(recipe="vicreg"))
    web.service.setup(PAIRS, asked)
    web.service.setup(PAIRS, replace(asked, asked=None))
    learns = web.service.status(PROJECT).learns
    assert learns is not None
    assert (learns.choice.recipe, learns.said_by["recipe"]) == ("vicreg", "desk pairs")
    web.service.setup(PAIRS, replace(asked, asked=Choice()))
    assert web.stores.asked(PROJECT).all() == {}


def test_setup_refuses_what_the_operator_did_not_list(web: WebSide) -> None:
    """Code, other networks and paths from Label Studio; what was asked for before stands."""
    web.service.setup(PAIRS, wire.SetupRequest(2, "2.1", "", "", Choice(recipe="vicreg")))
    for asked in (Choice(backbone="os:system"), Choice(backbone="torchvision:resnet18"), Choice(weights="../w.pth")):
        with pytest.raises(InputError, match="the extra parameters ask for"):
            web.service.setup(PAIRS, wire.SetupRequest(2, "2.1", "", "", asked))
    assert web.stores.asked(PROJECT).all() == {"pairs": Choice(recipe="vicreg")}


def test_a_config_that_does_not_serve_is_complained_about(web: WebSide, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong config at set-up, or one changed later, is in the log, with what is wrong."""
    with caplog.at_level(logging.WARNING):
        web.service.setup(PAIRS, wire.SetupRequest(2, "2.1", "<View/>", ""))
        web.service.record(PAIRS, wire.ProjectUpdated("<View>", project=2), 0.0)
    assert 'rec/pairs: the labelling config cannot be used: there is no <Choices name="answer">' in caplog.text
    assert "is not XML" in caplog.text
    assert web.stream() == []


def test_a_stranger_at_the_bare_url_is_pending(web: WebSide) -> None:
    """A backend connected by hand is remembered until somebody adopts it."""
    assert web.service.setup(BARE, wire.SetupRequest(77, "77.5", "", "http://ls")) == NO_VERSION
    (pending,) = web.stores.projects.pending()
    assert (pending.project, pending.hostname) == ("77.5", "http://ls")


def test_the_bare_url_finds_the_one_desk_of_a_project(web: WebSide) -> None:
    """Where Label Studio's project has just one desk, the bare URL is as good as the desk's own."""
    assert web.service.setup(BARE, wire.SetupRequest(2, "2.1", "", "")) == "v0000"
    assert web.stores.projects.pending() == []
    web.stores.projects.save(Project("twin", "/", (Desk("d", QuestionKind.PAIR, 2, 1, 1),)))
    assert web.service.setup(BARE, wire.SetupRequest(2, "2.1", "", "")) == NO_VERSION


def test_another_label_studio_project_is_turned_away(web: WebSide) -> None:
    """Annotation ids of two Label Studio projects must never meet in one desk."""
    with pytest.raises(
        ConflictError, match="comes from Label Studio project 9; desk pairs of rec belongs to project 2"
    ):
        web.service.setup(PAIRS, wire.SetupRequest(9, "9.1", "", ""))
    with pytest.raises(ConflictError):
        web.service.record(PAIRS, wire.Deleted((1,), project=9), 0.0)
    assert web.stream() == []


@pytest.mark.parametrize("address", [Address("nobody", "pairs"), Address(PROJECT, "nothing"), BARE])
def test_unknown_places_are_not_found(web: WebSide, address: Address) -> None:
    """An event for a project or desk that is not there is refused with what to do."""
    with pytest.raises(NotFoundError, match="pal init"):
        web.service.record(address, wire.Deleted((1,)), 0.0)


# ---- predict -------------------------------------------------------------------------------------------------------------


def test_an_open_question_is_scored_as_the_journal_has_it(web: WebSide) -> None:
    """The score is the present one, not that of the time of posting; the guess comes with it."""
    web.post_question(PAIR, 5, score=0.4, probabilities=(0.8,))
    assert predict(web, wire.WireTask(5, None)) == (wire.Guess(PAIR, 0.4, (0.8,), True),)


def test_the_published_posterior_decides_the_guess(web: WebSide) -> None:
    """Once a revision is published, P(same) is what it says now."""
    web.post_question(PAIR, 5, probabilities=(0.8,))
    web.post_question(SCREEN, 6, desk="screens")
    web.revision([0, 1, 0, 1] + [1] * 8)
    (guess,) = predict(web, wire.WireTask(5, None))
    assert guess.probabilities == (pytest.approx(0.005),)
    (guess,) = predict(web, wire.WireTask(6, None), address=SCREENS)
    assert guess.probabilities == (pytest.approx(0.005), pytest.approx(0.995), pytest.approx(0.005))


def test_a_sample_the_posterior_lacks_is_guessed_from_the_journal(web: WebSide) -> None:
    """A sample added since the last version has no row yet."""
    stranger = Question(QuestionKind.PAIR, SAMPLES[0], ("f" * 16,), probabilities=(0.3,))
    web.post_question(stranger, 5)
    web.revision([0] * 12)
    assert predict(web, wire.WireTask(5, None))[0].probabilities == (0.3,)


def test_what_is_dealt_with_is_asked_last(web: WebSide) -> None:
    """Answered, skipped and moot questions have score 1."""
    web.post_question(PAIR, 5, score=0.1, probabilities=(0.5,))
    web.stores.questions(PROJECT).close([PAIR.id], "moot")
    assert predict(web, wire.WireTask(5, None))[0].score == 1.0


def test_every_task_gets_one_guess_in_order(web: WebSide) -> None:
    """Strangers' tasks and tasks without id have their place among ours."""
    web.post_question(PAIR, 5, score=0.1, probabilities=(0.5,))
    guesses = predict(web, wire.WireTask(4, None), wire.WireTask(5, None), wire.WireTask(None, None))
    assert [(guess.question, guess.score) for guess in guesses] == [(None, 1.0), (PAIR, 0.1), (None, 1.0)]
    assert predict(web) == ()


def test_a_task_that_the_journal_forgot_speaks_for_itself(web: WebSide) -> None:
    """After Redis was lost, a task's own meta says what it asks; a meta of another project or desk does not."""
    (guess,) = predict(web, wire.WireTask(5, wire.TaskMeta(PAIR, PROJECT, "pairs")))
    assert guess == wire.Guess(PAIR, 0.25, (0.2,), True)
    for meta in (wire.TaskMeta(PAIR, "other", "pairs"), wire.TaskMeta(PAIR, PROJECT, "screens")):
        assert predict(web, wire.WireTask(5, meta))[0].question is None


def test_a_spoilt_entry_takes_nothing_from_the_others(web: WebSide) -> None:
    """One question that cannot be read is asked last; the other tasks have their answers."""
    web.post_question(PAIR, 5, score=0.1, probabilities=(0.5,))
    web.stores.redis.hset(f"pal:{PROJECT}:tasks", "pairs:6", "spoilt")
    web.stores.redis.hset(f"pal:{PROJECT}:questions", "spoilt", "{")
    assert [guess.score for guess in predict(web, wire.WireTask(6, None), wire.WireTask(5, None))] == [1.0, 0.1]


def test_blind_desks_and_blind_questions_show_nothing(web: WebSide) -> None:
    """Without prelabelling, and on re-checks and verifications, only the score goes out."""
    recheck = Question(QuestionKind.PAIR, SAMPLES[2], (SAMPLES[3],), Purpose.RECHECK, (0.9,))
    web.post_question(PAIR, 5, score=0.1, probabilities=(0.9,))
    web.post_question(recheck, 6, score=0.2, probabilities=(0.9,))

    def results() -> list[object]:
        request = wire.PredictRequest(2, (wire.WireTask(5, None), wire.WireTask(6, None)), "")
        found = wire.predictions_json(web.service.predict(PAIRS, request), render.pair_config())["results"]
        assert [one["score"] for one in found] == [0.1, 0.2]
        return [one["result"] for one in found]

    assert results() == [[{**pair_result("Same")[0], "score": 0.9}], []]
    web.save(prelabel=False)
    assert results() == [[], []]


def test_predict_at_the_bare_url(web: WebSide) -> None:
    """Tasks of a project nobody knows are asked last, each of them."""
    found = web.service.predict(BARE, wire.PredictRequest(77, (wire.WireTask(1, None),) * 3, ""))
    assert found == wire.Predictions((wire.Guess(None, 1.0),) * 3, NO_VERSION)


# ---- record --------------------------------------------------------------------------------------------------------------


def test_an_event_is_kept_with_its_desk_and_time(web: WebSide) -> None:
    """What stands in the stream is the event, the desk, and when it came; the receipt names the entry."""
    receipt = web.service.record(PAIRS, EVENT, 12.5)
    (stored,) = web.stores.events(PROJECT).read("0-0", 10)
    assert (stored.id, stored.desk, stored.event, stored.received_at) == (receipt.id, "pairs", EVENT, 12.5)


def test_many_events_wake_one_sitting(web: WebSide) -> None:
    """However many events come before a sitting starts, one job is enqueued; the next one after it began."""
    for _ in range(5):
        web.service.record(PAIRS, EVENT, 0.0)
    assert (len(web.stream()), jobs(web)) == (5, 1)
    web.stores.sittings(PROJECT).clear_wake()
    web.service.record(PAIRS, EVENT, 0.0)
    assert jobs(web) == 2


def test_a_sitting_under_way_is_not_woken(web: WebSide) -> None:
    """While somebody holds the lease the event is only appended: the holder reads the stream."""
    assert web.stores.sittings(PROJECT).take("somebody", 30)
    web.service.record(PAIRS, EVENT, 0.0)
    assert (len(web.stream()), jobs(web)) == (1, 0)


def test_what_says_nothing_is_not_kept(web: WebSide) -> None:
    """Actions without meaning for us leave no trace and wake nobody."""
    assert web.service.record(PAIRS, wire.Ignored("TASKS_CREATED", project=2), 0.0).id == ""
    assert (web.stream(), jobs(web)) == ([], 0)


def test_without_redis_nothing_is_promised(tmp_path: Path) -> None:
    """An event that cannot be kept is an error in words, not a receipt."""
    from pal_backend.bootstrap import build_service

    service = build_service(Settings(home=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    with pytest.raises(UnavailableError, match="no Redis answers"):
        service.record(PAIRS, EVENT, 0.0)


# ---- reports -------------------------------------------------------------------------------------------------------------


def test_versions_are_listed(web: WebSide) -> None:
    """Every version of a project, current or not; none at the bare URL."""
    assert web.service.versions(PAIRS) == ["v0000"]
    assert web.service.versions(BARE) == []


def test_status_says_where_a_project_stands(web: WebSide) -> None:
    """Desks, open questions, revision, version and what waits, in plain values."""
    web.fill_pool()
    web.post_question(PAIR, 5)
    web.revision([0, 1] * 6)
    web.service.record(PAIRS, EVENT, 0.0)
    web.stores.artefacts.write_file(f"projects/{PROJECT}/quarantine.jsonl", b'{"path": "x.png", "reason": "broken"}\n')
    status = web.service.status(PROJECT)
    assert [(desk.name, desk.kind, desk.open_questions) for desk in status.desks] == [
        ("pairs", "pair", 1),
        ("screens", "screen", 0),
    ]
    assert (status.version, status.groups, status.annotations, status.events_waiting) == ("v0000", 2, 0, True)
    assert status.median_seconds_webhook_to_revision == 1.0
    assert (status.quarantined, status.quarantine) == (1, (("x.png", "broken"),))
    assert status.jobs_waiting[LEARN] == 1
    with pytest.raises(NotFoundError):
        web.service.status("nobody")


def test_one_spoilt_project_does_not_hide_the_others(web: WebSide) -> None:
    """Metrics go on for the projects that can be read."""
    web.stores.redis.sadd("pal:projects", "spoilt")
    web.stores.redis.set("pal:spoilt:config", "{")
    with pytest.raises(InputError):
        web.service.status("spoilt")
    assert [status.project for status in web.service.statuses()] == [PROJECT]
