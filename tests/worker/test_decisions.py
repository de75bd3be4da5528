"""A lead's decisions on their way: from the store through a sitting into groups, back again, and through a lost Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pal_backend import wire
from pal_backend.core.vocabulary import HOUSE, AnnotationKey, Purpose, SampleId, Verdict
from pal_backend.credentials import Credentials
from pal_backend.deciding import Deciding
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.queues import Queues
from pal_backend.recovery import redecide
from pal_backend.settings import Settings
from pal_backend.store.questions import State
from pal_backend.store.stores import Stores
from tests.worker.house import NAME, House, build_house
from tests.worker.test_sitting import sit
from worker.bootstrap import Workshop


@pytest.fixture
def house(stores: Stores, settings: Settings) -> House:
    return build_house(stores, settings, samples=120)


@pytest.fixture
def shop(house: House, settings: Settings) -> Workshop:
    """After so many right answers that no group stands on a single sample."""
    shop = Workshop(replace(settings, idle_seconds=0), Credentials(), house.stores, Queues(settings.redis_url))
    sit(shop)
    for _ in range(8):
        for posted in house.questions():
            house.send(wire.Submitted((house.submission(posted, at=house.annotations + 1),)), at=time.time())
        sit(shop)
    return shop


@pytest.fixture
def deciding(shop: Workshop) -> Deciding:
    ticks: Iterator[float] = iter(np.arange(1e6, 2e6))
    return Deciding(shop.stores, shop.queues, lambda: next(ticks))


def groups(house: House) -> tuple[SampleId, ...]:
    """Of the current revision."""
    posterior = house.stores.revisions(NAME).posterior()
    assert posterior is not None
    return posterior.groups


def test_a_merge_is_learned_undone_and_no_annotators(shop: Workshop, house: House, deciding: Deciding) -> None:
    """The next sitting has the groups as one; undone, they are two again; nobody's answers or error rate change."""
    before, effort = groups(house), house.stores.revisions(NAME).current()
    decision = deciding.merge(NAME, before[:2][::-1])
    assert sit(shop) == 1
    assert groups(house) == (before[0], *before[2:])
    now = house.stores.revisions(NAME).current()
    assert effort is not None and now is not None and now.effort.people == effort.effort.people
    assert house.stores.answers(NAME).get(decision.key) == decision.annotation()

    deciding.undo(NAME, decision.number)
    sit(shop)
    assert groups(house) == before
    assert house.stores.answers(NAME).get(decision.key) is None
    with pytest.raises(ConflictError, match="already"):
        deciding.undo(NAME, decision.number)
    with pytest.raises(NotFoundError, match="no decision"):
        deciding.undo(NAME, 7)
    [kept] = house.stores.decisions(NAME).all()
    assert (kept.number, kept.undone_at is None) == (decision.number, False)


def test_decisions_outlive_redis(shop: Workshop, house: House, deciding: Deciding) -> None:
    """What stands comes back through the stream, what was undone does not, and a second time nothing is to be done."""
    before = groups(house)
    undone = deciding.merge(NAME, before[1:3])
    deciding.undo(NAME, undone.number)
    kept = deciding.merge(NAME, before[:2])
    sit(shop)
    answers = house.stores.answers(NAME).all()
    project = house.stores.projects.get(NAME)
    house.stores.redis.flushdb()
    house.stores.projects.save(project)
    house.stores.answers(NAME).put(a for a in answers if a.key.desk != HOUSE)  # as Label Studio would tell

    assert redecide(NAME, house.stores, 0.0) == 1
    sit(shop)
    assert groups(house) == (before[0], *before[2:])
    assert house.stores.answers(NAME).get(kept.key) == kept.annotation()
    assert redecide(NAME, house.stores, 0.0) == 0
    assert [one.number for one in house.stores.decisions(NAME).all()] == [kept.number, undone.number]


def test_samples_leave_a_group(shop: Workshop, house: House, deciding: Deciding) -> None:
    """The two that were ticked are in it no longer, and are a group."""
    grouping = house.stores.revisions(NAME).grouping()
    assert grouping is not None
    group = grouping.sized[0].id
    ticked = [member.sample for member in grouping.typical(group, count=3) if member.sample != group][:2]
    deciding.split(NAME, group, ticked, together=True)
    sit(shop)
    after = house.stores.revisions(NAME).grouping()
    assert after is not None
    there = {after.group_of(sample) for sample in ticked}
    assert len(there) == 1 and group not in there


REFUSED = [
    (lambda d, g: d.merge(NAME, g[:1]), "two or more"),
    (lambda d, g: d.merge(NAME, [g[0], "nobody"]), "no group nobody"),
    (lambda d, g: d.split(NAME, g[0], [], together=True), "0 samples"),
    (lambda d, g: d.split(NAME, g[0], ["nobody"], together=True), "no sample nobody"),
    (lambda d, g: d.settle(NAME, g[0], g[0], Verdict.SAME), "named twice"),
    (lambda d, g: d.settle(NAME, g[0], g[1], Verdict.UNSURE), "same or different"),
    (lambda d, g: d.ask(NAME, g[0], "nobody"), "no sample nobody"),
    (lambda d, g: d.undo("nothing", 1), "no project"),
]


def test_what_cannot_be_decided_is_refused(house: House, deciding: Deciding) -> None:
    """With words, and without a trace."""
    for act, match in REFUSED:
        with pytest.raises((InputError, NotFoundError), match=match):
            act(deciding, groups(house))
    assert house.stores.decisions(NAME).all() == []
    assert not house.stores.events(NAME).pending()


def test_a_pair_is_asked_again_once_and_first(shop: Workshop, house: House, deciding: Deciding) -> None:
    """It stands at the head until somebody answers, is kept from nobody where there is one person alone, and twice over is
    the same question.
    """
    answered = house.stores.answers(NAME).all()[-1].answers[0]
    first = deciding.ask(NAME, *answered.pair)
    assert deciding.ask(NAME, *answered.pair).id == first.id  # nobody has learned of the first yet
    sit(shop)
    with pytest.raises(ConflictError, match="open"):
        deciding.ask(NAME, *reversed(answered.pair))
    sit(shop)
    [posted] = [posted for posted in house.questions() if posted.question.purpose is Purpose.REVIEW]
    assert posted.score == 0.0 and posted.question.blind
    assert min(other.score for other in house.questions() if other.id != posted.id) > 0.0
    house.send(wire.Submitted((house.submission(posted, at=10**9),)), at=time.time())
    sit(shop)
    kept = house.stores.questions(NAME).get(posted.id)
    assert kept is not None and kept.state is State.CLOSED
    assert deciding.ask(NAME, *answered.pair).round == first.round + 1


def test_what_was_decided_need_not_be_asked(shop: Workshop, house: House, deciding: Deciding) -> None:
    """A question that waits for people is closed when the lead decides its pair after all."""
    a, b = house.stores.answers(NAME).all()[-1].answers[0].pair
    question = deciding.ask(NAME, a, b)
    sit(shop)
    deciding.settle(NAME, a, b, Verdict.DIFFERENT)
    sit(shop)
    kept = house.stores.questions(NAME).get(question.id)
    assert kept is not None and kept.closed == "moot"


def test_a_contradiction_stands_in_the_review_until_it_is_decided(
    shop: Workshop, house: House, deciding: Deciding
) -> None:
    """With its pair, whose answers the ties name; and why a sample is where it is can be read from the same revision."""
    right = next(a for a in house.stores.answers(NAME).all() if a.answers[0].verdict is Verdict.SAME)
    a, b = right.answers[0].pair
    wrong = replace(right.answers[0], verdict=Verdict.DIFFERENT, annotation=AnnotationKey("pairs", 900), annotator="8",
                    updated_at=10**8)  # fmt: skip
    house.stores.answers(NAME).put(
        [replace(right, key=wrong.annotation, annotator="8", updated_at=10**8, answers=(wrong,))]
    )
    sit(shop)
    reasons, number = house.stores.reasons(NAME), house.stores.revisions(NAME).number()
    grouping = house.stores.revisions(NAME).grouping()
    assert number is not None and grouping is not None
    assert reasons.review(number).conflicts[0].pairs == (right.answers[0].pair,)
    ties = reasons.ties(number)
    assert ties is not None
    edge = ties.between(grouping.index[a], grouping.index[b])
    assert edge is not None and set(ties.annotations(edge)) == {right.key, wrong.annotation}
    row = grouping.index[a]
    beliefs = reasons.beliefs(number, row)
    posterior = house.stores.revisions(NAME).posterior()
    assert posterior is not None and (beliefs == posterior.probabilities[row]).all()
    near = reasons.neighbours("v0000", row)
    assert len(near) >= 8 and row not in dict(near) and near[0][1] == max(weight for _, weight in near)

    deciding.settle(NAME, a, b, Verdict.SAME)
    sit(shop)
    number = house.stores.revisions(NAME).number()
    assert number is not None and reasons.review(number).conflicts == ()


def test_nobody_outside_makes_a_decision(house: House) -> None:
    """Label Studio's annotations may state any origin, and webhooks any action: neither becomes a decision."""
    result = [{"type": "choices", "from_name": "answer", "origin": "decision", "value": {"choices": ["Same"]}}]
    body = {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "task": {"id": 1}}
    event = wire.parse_event(
        {**body, "annotation": {"id": 1, "task": 1, "updated_at": "2026-01-01T00:00:00Z", "result": result}}
    )
    assert isinstance(event, wire.Submitted) and set(event.submissions[0].origins.values()) == {"manual"}
    for action in ("Decided", "AskedAgain", "DECIDED"):
        assert isinstance(wire.parse_event({"action": action, "decisions": [1]}), wire.Ignored)
    for event in (wire.Decided((1, 2)),):
        assert wire.event_from_json(json.loads(json.dumps(event.to_json()))) == event
