"""Strata of a pretext loss, as PT4AL's, without its slip."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.asking.pt4al import EVERY, STRATA, pt4al
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.vocabulary import Answer
from tests.core.worlds import clusters, said

PLAIN, LABELS = clusters(groups=3, each=100, spread=0.3)
N = len(LABELS)
IDS = PLAIN.sample_ids
LOSS = np.random.default_rng(5).permutation(N).astype(np.float32)
SPACE = build_space(IDS, PLAIN.features, difficulty=LOSS)
HARDEST = np.argsort(-LOSS)
STRATUM = np.argsort(np.argsort(-LOSS)) // (N // STRATA)


def offered(space: Space, answers: list[Answer], *, hardest_first: bool = True) -> tuple[State, Candidates]:
    """What the strategy offers after some answers, best first."""
    learner = Learner(space)
    learner.set_answers(answers)
    state = State.of(space, learner.graph, learner.beliefs, learner.seams)
    found = pt4al(state, np.random.default_rng(0), hardest_first=hardest_first)
    order = np.argsort(-found.scores, kind="stable")
    return state, Candidates(found.left[order], found.right[order], found.scores[order])


def chain(rows: list[int]) -> list[Answer]:
    """Answers that join rows with the first of them."""
    return [said(n, IDS[rows[0]], IDS[row], "same") for n, row in enumerate(rows[1:])]


def test_the_first_cycle_is_evenly_spaced_in_the_hardest_stratum() -> None:
    """Before any model every fifth sample of the hardest tenth comes first, the hardest of all at the front."""
    _, found = offered(SPACE, [])
    size = N // STRATA
    anchor = int(found.right[0])
    expected = [row for row in HARDEST[:size:EVERY].tolist() if row != anchor]
    assert found.left[: len(expected)].tolist() == expected
    assert set(found.left[: size - 1].tolist()) <= set(HARDEST[:size].tolist())


@pytest.mark.parametrize("cycle", [1, 2, 9, 10, 11])
def test_later_cycles_take_the_least_believed_of_their_stratum(cycle: int) -> None:
    """Cycle t looks at stratum t modulo 10, and there at the samples whose highest belief is lowest."""
    taken = (
        [row for row in range(N) if STRATUM[row] == 5][: N // STRATA] + HARDEST[-30:].tolist() + HARDEST[:30].tolist()
    )
    each = N // (STRATA * EVERY)
    rows = list(dict.fromkeys(taken))[: cycle * each]
    state, found = offered(SPACE, chain(rows))
    stratum = cycle % STRATA
    mine = [row for row in np.flatnonzero(stratum == STRATUM).tolist() if row not in rows]
    assert mine
    assert set(found.left[: len(mine)].tolist()) == set(mine)
    confidence = state.beliefs.probabilities[found.left[: len(mine)], :-1].max(axis=1)
    assert (np.diff(confidence) >= 0.0).all()


def test_losses_are_ordered_as_numbers() -> None:
    """4.4 is harder than 0.97, and both than 9.9e-05, though the released code's text order says otherwise."""
    loss = np.asarray(["9.9e-05", "0.97", "4.4"]).astype(np.float32)
    space = build_space(IDS[:3], PLAIN.features[:3], difficulty=loss)
    assert space.hardest.tolist() == [2, 1, 0]


def test_the_direction_can_be_turned_round() -> None:
    """Easiest first begins with the stratum of least loss."""
    _, found = offered(SPACE, [], hardest_first=False)
    assert set(found.left[: N // STRATA - 1].tolist()) <= set(HARDEST[-N // STRATA :].tolist())


def test_without_a_pretext_loss_the_features_stand_in() -> None:
    """The sample that a PCA of the features describes worst is among the first."""
    x = np.zeros((N, 6), np.float32)
    x[:, :2] = np.random.default_rng(0).normal(size=(N, 2))
    x[17, 5] = 3.0
    _, found = offered(build_space(IDS, x), [])
    assert found.left[0] == 17


def test_a_chosen_sample_meets_its_likeliest_group() -> None:
    """With three groups known, samples are compared within their own cluster almost always."""
    answers = [said(1, IDS[0], IDS[100], "different"), said(2, IDS[0], IDS[200], "different")]
    answers += [said(3, IDS[100], IDS[200], "different")]
    answers += [said(10 + row, IDS[row], IDS[row + n], "same") for row in (0, 100, 200) for n in (1, 2, 3)]
    _, found = offered(SPACE, answers)
    assert np.mean(LABELS[found.left] == LABELS[found.right]) > 0.8
