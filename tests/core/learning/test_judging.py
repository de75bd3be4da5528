"""Comparing feature spaces on answers that were held out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pal_backend.core.learning.judging import answered_pairs, evaluate_pairs, for_training, held_out, judge
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict

IDS = [f"{n:016x}" for n in range(400)]
CLASSES = np.arange(400) % 4


def answers(count: int, seed: int = 0) -> list[Answer]:
    """True answers on random pairs."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        i, j = rng.choice(400, 2, replace=False)
        verdict = Verdict.SAME if CLASSES[i] == CLASSES[j] else Verdict.DIFFERENT
        found.append(Answer(AnnotationKey("pairs", number), Pair.of(IDS[i], IDS[j]), verdict, "ann"))
    return found


def features(noise: float, seed: int = 1) -> NDArray[np.float32]:
    """Classes at the corners of a square of side 2, with noise."""
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], float)
    rng = np.random.default_rng(seed)
    return (corners[CLASSES] + rng.normal(size=(400, 2)) * noise).astype(np.float32)


def test_a_fifth_of_the_pairs_is_held_out_for_ever() -> None:
    """The share is about 20 %, and depends on the pair alone."""
    rng = np.random.default_rng(0)
    pairs = [Pair.of(IDS[i], IDS[j]) for i, j in (rng.choice(400, 2, replace=False) for _ in range(4000))]
    assert np.mean([held_out(pair) for pair in pairs]) == pytest.approx(0.2, abs=0.02)
    assert held_out(Pair.of(IDS[1], IDS[2])) == held_out(Pair.of(IDS[2], IDS[1]))


def test_training_never_sees_a_held_out_pair() -> None:
    """What is left for training and what is held out make the whole."""
    whole = answers(200)
    kept = for_training(whole)
    assert not any(held_out(answer.pair) for answer in kept)
    assert len(kept) + sum(held_out(answer.pair) for answer in whole) == 200


def test_a_better_space_is_accepted_and_a_worse_one_refused() -> None:
    """Both figures and a sentence say why."""
    good, bad = features(0.2), features(3.0)
    better, worse = judge(bad, good, IDS, answers(300)), judge(good, bad, IDS, answers(300))
    assert better.accepted
    assert better.new < better.old
    assert not worse.accepted
    assert (worse.old, worse.new) == (better.new, better.old)
    assert f"on {worse.pairs} held-out answers" in worse.reason
    assert worse.reason.endswith("worse")


def test_a_somewhat_worse_space_is_refused() -> None:
    """It need not be noise: classes that overlap more are enough."""
    assert not judge(features(0.3), features(0.8), IDS, answers(300)).accepted


def test_the_same_space_is_not_worse() -> None:
    """No difference is no reason to refuse."""
    space = features(0.5)
    assert judge(space, space, IDS, answers(300)).accepted


def test_too_few_answers_refuse_and_say_so() -> None:
    """Without enough held-out answers the old version stays."""
    for few in ([], answers(20)):
        judgement = judge(features(1.0), features(0.1), IDS, few)
        assert not judgement.accepted
        assert "the old version stays" in judgement.reason
        assert np.isnan(judgement.new)


def test_pairs_are_counted_once_and_unsure_or_unknown_ones_not_at_all() -> None:
    """Two answers on a pair are one pair, by their evidence; samples without a row are left out."""
    a, b, c = IDS[:3]
    pairs, same, _ = answered_pairs(
        [a, b, c],
        [
            Answer(AnnotationKey("d", 1), Pair.of(a, b), Verdict.SAME, "x"),
            Answer(AnnotationKey("d", 2), Pair.of(a, b), Verdict.SAME, "y"),
            Answer(AnnotationKey("d", 3), Pair.of(b, c), Verdict.UNSURE, "x"),
            Answer(AnnotationKey("d", 4), Pair.of(a, "f" * 16), Verdict.SAME, "x"),
        ],
    )
    assert (pairs.tolist(), same.tolist()) == ([[0, 1]], [True])


def test_log_loss_closed_form() -> None:
    """What follows from the known answers is believed with .98, so it costs -ln .98 if true and -ln .02 if not."""
    i, j, k = next(
        (i, j, k)
        for i in range(0, 400, 4)
        for j in range(i + 4, 400, 4)
        for k in range(j + 4, 400, 4)
        if held_out(Pair.of(IDS[i], IDS[k])) and not any(held_out(Pair.of(IDS[j], IDS[n])) for n in (i, k))
    )
    known = [Answer(AnnotationKey("d", n), Pair.of(IDS[j], IDS[n]), Verdict.SAME, "x") for n in (i, k)]
    for same, expected in ((True, -np.log(0.98)), (False, -np.log(0.02))):
        loss = evaluate_pairs(features(0.3), IDS, known, np.array([[i, k]]), np.array([same]))
        assert loss == pytest.approx([expected], abs=1e-9)
