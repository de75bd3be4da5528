"""Probabilities of pairs as they are published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.posterior import Particulars, Posterior
from pal_backend.core.quality import Quality
from pal_backend.core.vocabulary import Question, QuestionKind

IDS = ("a", "b", "c", "d")
POSTERIOR = Posterior(
    IDS,
    ("a", "c"),
    np.asarray([[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.6, 0.4]], np.float32),
    np.asarray([0, 0, -1, -1], np.int32),
    np.zeros((0, 2), np.int32),
)


def test_no_guess_is_surer_than_the_checks_bear_out() -> None:
    """With a twentieth of errors that no belief foretells, .98 becomes .95; doubts stay, and what answers settle is no exception."""
    question = Question(QuestionKind.SCREEN, "a", ("b", "c", "d"))
    before = POSTERIOR.of_question(question)
    checked = replace(POSTERIOR, quality=Quality(surest=0.95))
    after = checked.of_question(question)
    assert before is not None and after is not None
    assert before[1] == pytest.approx(0.0198, abs=1e-3) and after[1] == pytest.approx(0.05)
    assert after[2] == before[2] and after[0] == pytest.approx(0.95)
    assert checked.probability_same([2], [2])[0] == pytest.approx(0.95)


def test_a_question_about_a_stranger_has_no_probabilities() -> None:
    """The journal's own are taken then."""
    assert POSTERIOR.of_question(Question(QuestionKind.PAIR, "a", ("z",))) is None


def test_samples_of_two_groups_are_the_same_as_far_as_the_groups_may_be_one() -> None:
    """``sum_kl F_ik O_kl F_jl``, by hand; without O the groups are surely two."""
    one = np.asarray([[1.0, 0.2], [0.2, 1.0]], np.float32)
    doubtful = replace(POSTERIOR, one=one)
    by_hand = POSTERIOR.probabilities[[0, 3]].astype(float) @ one @ POSTERIOR.probabilities[2].astype(float)
    assert doubtful.raw_probability_same([0, 3], [2, 2]) == pytest.approx(by_hand)
    sure = replace(POSTERIOR, one=np.eye(2, dtype=np.float32))
    assert (sure.raw_probability_same([0, 3], [2, 2]) == POSTERIOR.raw_probability_same([0, 3], [2, 2])).all()
    with pytest.raises(ValueError, match=r"'one': \(2, 2\)"):
        Posterior.load(IDS, {**POSTERIOR.header(), "groups": ["a"]}, doubtful.arrays())


def test_a_seam_between_two_samples_is_a_second_opinion() -> None:
    """Half-way in log-odds between .98 and 1 - .7; on one side of it, or where one sample has no side, nothing changes."""
    sides = np.asarray([[1, 0], [-1, -1], [-1, 0]], np.int8)
    akin = POSTERIOR.probabilities[[0, 1, 3]]
    seamed = replace(
        POSTERIOR, particulars=Particulars(np.asarray([0, 1, 3], np.int32), akin, sides, np.asarray([0.7, 0.9]))
    )
    first, second = [0, 1, 0, 0], [1, 3, 2, 3]
    plain = POSTERIOR.raw_probability_same(first, second)
    odds = plain / (1.0 - plain)
    expected = np.sqrt(odds * 0.3 / 0.7)
    found = seamed.raw_probability_same(first, second)
    assert found[[0, 3]] == pytest.approx((expected / (1.0 + expected))[[0, 3]])
    assert (found[[1, 2]] == plain[[1, 2]]).all()


def test_particulars_come_back_as_they_were_and_what_does_not_fit_is_refused() -> None:
    """Through arrays; a row beyond the samples, or a column too few, is named."""
    known = Particulars(
        np.asarray([3, 0], np.int32),
        np.asarray([[0.5, 0.4], [0.9, 0.1]], np.float32),
        np.asarray([[1], [-1]], np.int8),
        np.asarray([0.5], np.float32),
    )
    held = replace(POSTERIOR, particulars=known)
    read = Posterior.load(IDS, held.header(), held.arrays())
    assert read.particulars is not None
    assert all((value == vars(read.particulars)[name]).all() for name, value in vars(known).items())
    assert (read.raw_probability_same([0, 1], [3, 3]) == held.raw_probability_same([0, 1], [3, 3])).all()
    for name, spoilt in (("rows", np.asarray([4, 0])), ("akin", known.akin[:, :1]), ("two", np.zeros(2))):
        with pytest.raises(ValueError, match=name):
            Posterior.load(IDS, held.header(), {**held.arrays(), name: spoilt})
