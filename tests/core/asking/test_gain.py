from __future__ import annotations

from collections import Counter
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pytest

from pal_backend.core.asking.gain import _merges, gain
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Answer, QuestionKind
from tests.core.worlds import clusters, said, truthful

SPACE, LABELS = clusters(groups=3, each=30, spread=0.1)
IDS = SPACE.sample_ids


def candidates(answers: list[Answer], seed: int = 0) -> Candidates:
    """What the strategy offers after some answers."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    return gain(State.of(SPACE, learner.graph, learner.beliefs, learner.seams), np.random.default_rng(seed))


def test_it_starts_from_typical_samples() -> None:
    """Before any answer one typical sample is the anchor and the best candidate is typical of another place."""
    offered = candidates([])
    medoids = set(SPACE.medoids[0].tolist())
    anchors = set(offered.right.tolist())
    best = int(offered.left[offered.scores.argmax()])
    assert len(anchors) == 1 and anchors <= medoids and best in medoids
    assert best not in SPACE.neighbours(anchors.pop())


def test_a_sample_meets_its_likeliest_group() -> None:
    """With all three groups known, samples are compared with a representative of their own cluster."""
    answers = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[60], "different")]
    answers += [said(3, IDS[30], IDS[60], "different")]
    answers += [said(10 + n, IDS[n // 5 * 30], IDS[n // 5 * 30 + n % 5 + 1], "same") for n in range(15)]
    offered = candidates(answers)
    fresh = [m for m, row in enumerate(offered.left.tolist()) if row % 30 > 5]
    assert np.mean(LABELS[offered.left[fresh]] == LABELS[offered.right[fresh]]) > 0.9


def test_on_screens_a_misplaced_sample_is_compared_with_its_own_group() -> None:
    """One wrong "same" put it there; in pairs it meets the group that it is believed to be of."""
    answers = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[60], "different")]
    answers += [said(3, IDS[30], IDS[60], "different")]
    answers += [said(10 + n, IDS[n // 5 * 30], IDS[n // 5 * 30 + n % 5 + 1], "same") for n in range(15)]
    answers += [said(40, IDS[10], IDS[30], "same")]
    learner = Learner(SPACE)
    learner.set_answers(answers)
    pairs = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
    for state, group in ((pairs, 0), (replace(pairs, kind=QuestionKind.SCREEN), 1)):
        offered = gain(state, np.random.default_rng(0))
        assert LABELS[offered.right[offered.left == 10]][0] == group  # what follows are merges and seams


def test_seeds_draw_among_near_equals() -> None:
    """Another seed changes scores a little; the same seed changes nothing."""
    assert (candidates([], 1).scores == candidates([], 1).scores).all()
    ratio = candidates([], 1).scores / candidates([], 2).scores
    assert ratio.std() > 0.0 and np.abs(np.log(ratio)).max() < 1.0


def test_screens_are_full_while_many_samples_are_in_doubt() -> None:
    """Though those most in doubt lie in many groups."""
    space, labels = clusters(groups=12, each=80, spread=0.6)
    learner, shown = Learner(space), list[int]()
    for number in range(50):
        [screen] = learner.ask(1, kind=QuestionKind.SCREEN, candidates=8)
        shown.append(len(screen.candidates))
        learner.update(truthful(number, screen, space, labels), ())
    assert np.mean(shown[10:]) > 7.5


@pytest.mark.parametrize("known", [0, 5, 20])
@pytest.mark.parametrize("kind", list(QuestionKind))
def test_what_people_cannot_tell_does_not_come_again_and_again(known: int, kind: QuestionKind) -> None:
    """Thirty times "unsure" are about many pairs and samples, whatever was known before."""
    learner, pairs, samples, anchors = Learner(SPACE), Counter[object](), Counter[str](), Counter[str]()
    for number in range(known + 30):
        [question] = learner.ask(1, kind=kind, candidates=3)
        if number < known:
            learner.update(truthful(number, question, SPACE, LABELS), ())
        else:
            pairs.update(question.pairs)
            samples.update(question.candidates)
            anchors.update([question.anchor])
            learner.update([said(number, *pair, "unsure") for pair in question.pairs], ())
    assert max(pairs.values()) <= 3 and len(pairs) >= 15
    assert max(samples.values()) <= 6
    assert max(anchors.values()) <= 24


def test_unsure_about_two_groups_or_a_seam_counts_for_all_their_members() -> None:
    """Two groups in one cluster, and two clusters in one group: each "unsure" across halves the worth of asking."""
    twins = [said(n, IDS[0], IDS[n], "same") for n in (1, 2, 3)] + [said(5, IDS[10], IDS[11], "same")]
    twins += [said(6, IDS[0], IDS[60], "different"), said(7, IDS[10], IDS[60], "different")]
    twins += [said(8, IDS[0], IDS[10], "different")]
    sewn = [said(n, IDS[0], IDS[n], "same") for n in (1, 2, 3)] + [
        said(10 + n, IDS[30], IDS[30 + n], "same") for n in (1, 2, 3)
    ]
    sewn += [said(20, IDS[1], IDS[31], "same"), said(21, IDS[0], IDS[60], "different")]
    for answers, here, there in ((twins, range(4), (10, 11)), (sewn, range(4), range(30, 34))):

        def across(offered: Candidates, here: object = here, there: object = there) -> dict[tuple[int, int], float]:
            found = zip(offered.left.tolist(), offered.right.tolist(), offered.scores.tolist(), strict=True)
            return {
                (a, b): score
                for a, b, score in found
                if (a in here and b in there) or (b in here and a in there)  # type: ignore[operator]
            }

        [(pair, before)] = across(candidates(answers)).items()
        # a sample to be placed may be compared across as well, by another pair
        offered = across(candidates([*answers, said(50, IDS[pair[0]], IDS[pair[1]], "unsure")]))
        again, after = max(offered.items(), key=itemgetter(1))
        assert after == pytest.approx(before / 2.0) and set(again) != set(pair)


def test_a_group_of_one_that_met_another_tells_half_as_much_each_time() -> None:
    """Each time with another of its members, so no pair comes twice."""
    answers = [said(n, IDS[0], IDS[n], "same") for n in range(1, 6)]
    worth = []
    for number in range(4):
        answers.append(said(10 + number, IDS[30], IDS[number], "different"))
        learner = Learner(SPACE)
        learner.set_answers(answers)
        state = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
        [(row, partner, score)] = _merges(replace(state, gains=np.asarray([[0.0, 1.0], [1.0, 0.0]])))
        assert row == 30 and partner not in range(number + 1)
        worth.append(score)
    assert worth == [1.0, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("seed", range(3))
def test_no_question_is_asked_for_ever(seed: int) -> None:
    """Where looks tell nothing at all, right answers lead on: no pair comes many times, and few questions are repeats."""
    space, labels = clusters(groups=6, each=20, spread=0.1, seed=seed)
    labels = np.random.default_rng(seed).permutation(labels)
    learner, pairs = Learner(space, seed=seed), Counter[object]()
    for number in range(300):
        [question] = learner.ask(1)
        pairs.update(question.pairs)
        learner.update(truthful(number, question, space, labels), ())
    assert max(pairs.values()) <= 6
    assert len(pairs) >= 240
