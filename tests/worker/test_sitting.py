"""A sitting over a real Redis and real digits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pal_backend import wire
from pal_backend.core.learner import Learner
from pal_backend.core.quality import Quality
from pal_backend.core.solver_space import space_with
from pal_backend.core.vocabulary import AnnotationKey, Opinion, Purpose, Question, QuestionKind, Verdict
from pal_backend.credentials import Credentials
from pal_backend.errors import ConflictError
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk
from pal_backend.store.questions import State
from pal_backend.store.stores import Stores
from tests.worker.house import NAME, House, build_house
from worker.bootstrap import Workshop
from worker.sitting import LEASE_SECONDS, Sitting


@pytest.fixture
def house(stores: Stores, settings: Settings) -> House:
    return build_house(stores, settings)


@pytest.fixture
def shop(house: House, settings: Settings) -> Workshop:
    return Workshop(replace(settings, idle_seconds=0), Credentials(), house.stores, Queues(settings.redis_url))


def sit(shop: Workshop, should_stop: Callable[[], bool] = lambda: False) -> int:
    """One whole sitting."""
    sittings = shop.stores.sittings(NAME)
    lease = sittings.take("test", LEASE_SECONDS)
    assert lease is not None
    try:
        return Sitting(shop.stores.projects.get(NAME), shop, lease, should_stop).run()
    finally:
        sittings.release(lease)


def test_the_first_sitting_publishes_and_journals_enough_questions(shop: Workshop, house: House) -> None:
    """Before any answer there is a revision, ten questions are written down, and refill is woken to post them."""
    sit(shop)

    revision = house.stores.revisions(NAME).current()
    assert revision is not None
    assert (revision.version, revision.answers) == ("v0000", 0)
    assert len(house.questions()) == 10
    assert [job.kind for job in shop.queues.jobs()] == ["refill"]


def test_answers_become_a_revision_and_new_questions(shop: Workshop, house: House) -> None:
    """Ten answers close their questions, stand in the answers, and ten others are asked."""
    sit(shop)
    asked = house.questions()
    for posted in asked:
        house.send(wire.Submitted((house.submission(posted),)), at=time.time())

    assert sit(shop) == 10

    revision = house.stores.revisions(NAME).current()
    assert revision is not None
    assert revision.answers == 10
    assert {a.question for a in house.stores.answers(NAME).all()} == {posted.id for posted in asked}
    fresh = {posted.id for posted in house.questions()}
    assert len(fresh) == 10
    assert not fresh & {posted.id for posted in asked}
    assert len(house.stores.revisions(NAME).latencies()) == 10


def test_a_paused_project_asks_nothing_and_goes_on_learning(shop: Workshop, house: House) -> None:
    """Answers to open questions are folded in, none comes in their place until somebody goes on."""
    sit(shop)
    house.stores.projects.change(NAME, lambda project: replace(project, paused_at=1.0))
    for posted in house.questions()[:4]:
        house.send(wire.Submitted((house.submission(posted),)), at=time.time())
    assert sit(shop) == 4
    revision = house.stores.revisions(NAME).current()
    assert revision is not None and revision.answers == 4
    assert len(house.questions()) == 6
    house.stores.projects.change(NAME, lambda project: replace(project, paused_at=0.0))
    sit(shop)
    assert len(house.questions()) == 10


def test_a_sitting_follows_its_project(shop: Workshop, house: House) -> None:
    """Strategy and number of open questions are changed while it runs; it asks by them at once."""
    first: list[Question] = []

    def change() -> bool:
        if not first and len(house.questions()) == 10:
            first.extend(posted.question for posted in house.questions())
            house.stores.projects.change(NAME, lambda p: replace(p, strategy="random", open_questions=16))
        return False

    sit(replace(shop, settings=replace(shop.settings, idle_seconds=1)), change)
    version = house.stores.versions(NAME).load("v0000")
    learner = Learner(space_with(Opinion.KERNEL)(version.sample_ids, version.features), strategy="random")
    expected = learner.ask(6, open_questions=first)
    assert {question.id for question in expected} == {posted.id for posted in house.questions()} - {q.id for q in first}


def test_questions_follow_the_pretext_losses_of_the_version(shop: Workshop, house: House) -> None:
    """By `pt4al` the first questions are about the hardest tenth."""
    stores, versions = house.stores, house.stores.versions(NAME)
    stores.projects.save(replace(stores.projects.get(NAME), strategy="pt4al"))
    before, rng = versions.load("v0000"), np.random.default_rng(0)
    losses = rng.permutation(len(before.sample_ids)).astype(np.float32)
    versions.write(replace(before, id="v0001", difficulty=losses), None, [])
    versions.make_current("v0001", "v0000")
    sit(shop)
    hardest = {before.sample_ids[row] for row in np.argsort(-losses)[:20]}
    placed = [posted.question.candidates[0] for posted in house.questions()]
    assert sum(sample in hardest for sample in placed) >= 9  # one in twenty is a check


def test_the_solver_gives_the_second_opinion_where_the_project_says_so(shop: Workshop, house: House) -> None:
    """The same answers in the solver's embedding lead to what a learner in that space believes, and not to the kernel's."""
    for _ in range(3):
        sit(shop)
        for posted in house.questions():
            house.send(wire.Submitted((house.submission(posted),)), at=time.time())
    version = house.stores.versions(NAME).load("v0000")
    expected = {}
    for opinion in Opinion:
        house.stores.projects.save(replace(house.stores.projects.get(NAME), opinion=opinion))
        sit(shop)
        found = house.stores.revisions(NAME).posterior()
        learner = Learner(space_with(opinion)(version.sample_ids, version.features))
        learner.set_answers(answer for some in house.stores.answers(NAME).all() for answer in some.answers)
        expected[opinion] = learner.posterior().probabilities
        assert found is not None
        np.testing.assert_allclose(found.probabilities, expected[opinion], atol=1e-3)
    kernel, solver = (p @ p.T for p in expected.values())  # P(same) of every two samples
    assert np.abs(kernel - solver).max() > 0.01


def test_checks_are_asked_and_the_revision_says_how_good_the_groups_are(shop: Workshop, house: House) -> None:
    """After some sixty right answers a few checks were answered, and their estimate stands in the revision; the purpose
    of each answer is kept.
    """
    sit(shop)
    for _ in range(6):
        for posted in house.questions():
            house.send(wire.Submitted((house.submission(posted),)), at=time.time())
        sit(shop)

    revision = house.stores.revisions(NAME).current()
    assert revision is not None
    quality = Quality.from_json(revision.posterior["quality"])
    checked = [
        answer
        for annotation in house.stores.answers(NAME).all()
        for answer in annotation.answers
        if answer.purpose is Purpose.VERIFY
    ]
    assert quality is not None and quality.accuracy is not None
    assert quality.accuracy.checks == len({answer.candidate for answer in checked}) >= 2
    assert quality.accuracy.low < quality.accuracy.high and quality.next_hundred is not None
    posterior = house.stores.revisions(NAME).posterior()
    assert posterior is not None and posterior.quality == quality


def test_an_answer_is_read_by_what_its_task_says_when_the_journal_was_lost(shop: Workshop, house: House) -> None:
    """The task's meta is enough: neither Redis nor a task number is needed to understand an answer."""
    sit(shop)
    posted = house.questions()[0]
    house.stores.redis.delete(f"pal:{NAME}:questions", f"pal:{NAME}:open", f"pal:{NAME}:tasks")
    house.send(wire.Submitted((house.submission(posted),)))

    sit(shop)

    (annotation,) = house.stores.answers(NAME).all()
    assert annotation.question == posted.id
    assert annotation.answers[0].pair == posted.question.pairs[0]
    assert annotation.answers[0].verdict is (Verdict.SAME if house.same(posted.question) else Verdict.DIFFERENT)


def test_a_deleted_answer_is_forgotten_and_its_question_open_again(shop: Workshop, house: House) -> None:
    """Withdrawal leaves a tombstone: even the late original does not come back."""
    sit(shop)
    posted = house.questions()[0]
    submission = house.submission(posted, number=5)
    house.send(wire.Submitted((submission,)))
    sit(shop)
    house.send(wire.Deleted((5,)))
    house.send(wire.Submitted((submission,)))

    sit(shop)

    assert house.stores.answers(NAME).all() == []
    again = house.stores.questions(NAME).get(posted.id)
    assert again is not None
    assert again.state is not State.CLOSED
    assert house.stores.answers(NAME).withdrawn([AnnotationKey("pairs", 5)])


def test_a_skip_closes_the_question_without_an_answer(shop: Workshop, house: House) -> None:
    """A skipped question is dealt with, teaches nothing and is not asked again at once."""
    sit(shop)
    posted = house.questions()[0]
    house.send(wire.Submitted((house.submission(posted, skipped=True),)))

    sit(shop)

    (annotation,) = house.stores.answers(NAME).all()
    assert annotation.skipped
    assert annotation.answers == ()
    kept = house.stores.questions(NAME).get(posted.id)
    assert kept is not None
    assert (kept.state, kept.closed) == (State.CLOSED, "skipped")


def test_a_revision_says_what_answering_costs(shop: Workshop, house: House) -> None:
    """With a desk of each kind: gains of what is next on both, seconds, and who answered how much."""
    project = house.stores.projects.get(NAME)
    screens = Desk("screens", QuestionKind.SCREEN, project_id=2, backend_id=2, webhook_id=2)
    house.stores.projects.save(replace(project, desks=(*project.desks, screens)))
    sit(shop)
    pairs = [posted for posted in house.questions() if posted.desk == "pairs"]
    for posted in pairs:
        house.send(wire.Submitted((house.submission(posted),)))

    sit(shop)

    revision = house.stores.revisions(NAME).current()
    assert revision is not None
    outlooks = revision.effort.outlooks
    assert set(outlooks) == set(QuestionKind)
    assert all(outlook.gain and outlook.gain > 0 for outlook in outlooks.values())
    assert (outlooks[QuestionKind.PAIR].timed, outlooks[QuestionKind.SCREEN].timed) == (len(pairs), 0)
    (person,) = revision.effort.people
    assert (person.name, person.answers, person.median_seconds) == ("7", len(pairs), {QuestionKind.PAIR: 1.0})


def test_start_training_and_events_without_content_become_jobs(shop: Workshop, house: House) -> None:
    """The button enqueues a training, an event that says nothing enqueues a reconcile."""
    house.send(wire.TrainingRequested())
    house.send(wire.ReconcileRequested("no payload"))

    sit(shop)

    assert {"train", "reconcile"} <= {job.kind for job in shop.queues.jobs()}


def test_enough_answers_ask_for_training(shop: Workshop, house: House) -> None:
    """A training is enqueued once the answers since the last version reach the setting."""
    shop = replace(shop, settings=replace(shop.settings, train_after_answers=10))
    sit(shop)
    for posted in house.questions()[:9]:
        house.send(wire.Submitted((house.submission(posted),)))
    sit(shop)
    assert "train" not in {job.kind for job in shop.queues.jobs()}

    house.send(wire.Submitted((house.submission(house.questions()[0]),)))
    sit(shop)

    assert "train" in {job.kind for job in shop.queues.jobs()}


def test_a_sitting_that_lost_its_lease_cannot_publish(shop: Workshop, house: House) -> None:
    """A later lease fences off the earlier one, however long that one goes on."""
    sittings = house.stores.sittings(NAME)
    early = sittings.take("early", LEASE_SECONDS)
    assert early is not None
    sittings.release(early)
    sit(shop)

    with pytest.raises(ConflictError, match="another sitting has taken over"):
        Sitting(house.stores.projects.get(NAME), shop, early, lambda: False).run()


def test_the_same_answers_give_the_same_questions(shop: Workshop, house: House) -> None:
    """After Redis' memory of the sitting is gone, the same answers lead to the same revision."""
    sit(shop)
    for posted in house.questions():
        house.send(wire.Submitted((house.submission(posted),)))
    sit(shop)
    first = house.stores.revisions(NAME).posterior()
    sit(shop)
    second = house.stores.revisions(NAME).posterior()

    assert first is not None
    assert second is not None
    assert first.groups == second.groups
    assert abs(first.probabilities - second.probabilities).max() <= 1e-4


def test_a_sitting_whose_lease_ran_out_ends_without_publishing(shop: Workshop, house: House) -> None:
    """Held up for longer than its lease, a sitting leaves the project to the next one."""
    sit(shop)
    before = house.stores.revisions(NAME).current()
    house.send(wire.Submitted((house.submission(house.questions()[0]),)))
    late = iter([0.0, 0.0])
    shop = replace(shop, clock=lambda: next(late, LEASE_SECONDS + 1.0))
    lease = house.stores.sittings(NAME).take("held up", LEASE_SECONDS)
    assert lease is not None
    house.stores.sittings(NAME).release(lease)

    assert Sitting(house.stores.projects.get(NAME), shop, lease, lambda: False).run() == 0

    assert house.stores.revisions(NAME).current() == before
    assert house.stores.events(NAME).pending()
