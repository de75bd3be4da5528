"""The space whose second opinion is given in the solver's embedding."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learner import Learner
from pal_backend.core.solver_space import DIMENSION, SolverSpace, solver_space
from tests.core.worlds import clusters, said, truthful

PLAIN, LABELS = clusters(groups=3, each=40, spread=0.4)
IDS = PLAIN.sample_ids
TRUTH = np.eye(3, dtype=np.float32)[LABELS]


def space() -> SolverSpace:
    """A fresh one over the three clusters."""
    return solver_space(IDS, PLAIN.features)


def graph(pairs: int, seed: int = 0) -> SimilarityGraph:
    """True answers about random pairs."""
    drawn = [np.random.default_rng((seed, n)).choice(len(IDS), 2, replace=False) for n in range(pairs)]
    verdicts = ["same" if LABELS[i] == LABELS[j] else "different" for i, j in drawn]
    return SimilarityGraph.of(
        [said(n, IDS[i], IDS[j], verdict) for n, ((i, j), verdict) in enumerate(zip(drawn, verdicts, strict=True))]
    )


def right(some: SolverSpace, answers: SimilarityGraph) -> float:
    """Share of the samples that all others tell right."""
    return float((some.opinion(answers).without_itself(TRUTH).argmax(axis=1) == LABELS).mean())


def test_neighbours_and_features_are_those_of_any_space() -> None:
    """Only the opinion differs."""
    assert (space().graph != PLAIN.graph).nnz == 0
    assert np.array_equal(space().features, PLAIN.features)


def test_it_foretells_clusters_and_learns_from_answers() -> None:
    """Without an answer it tells most samples right, and with many it tells more of them right."""
    before, after = right(space(), graph(0)), right(space(), graph(300))
    assert before > 0.7
    assert after > before


def test_an_opinion_is_a_function_of_the_answers() -> None:
    """After others, or withdrawn again: the same scores to 1e-4."""
    fresh, used = space(), space()
    for pairs in (10, 80, 30):
        used.opinion(graph(pairs, seed=1))
    expected = fresh.opinion(graph(50)).without_itself(TRUTH)
    assert used.opinion(graph(50)).without_itself(TRUTH) == pytest.approx(expected, abs=1e-4)


def test_a_learner_works_in_it() -> None:
    """Sixty true answers find the three groups, and the solver's opinion is asked for."""
    learner = Learner(solver_space(*_easy()))
    _, labels = clusters(groups=3, each=40)
    for number in range(60):
        [question] = learner.ask(1)
        learner.update(truthful(number, question, learner.space, labels), ())
    assert len(learner.beliefs.groups) == 3
    assert (learner.posterior().assignment()[0][:, None] == learner.posterior().assignment()[0][None, :]).mean() < 0.4
    assert isinstance(learner.space, SolverSpace)
    assert learner.space._solver.solve().weights.shape[1] == DIMENSION


@pytest.mark.parametrize("n", [1, 2, 5])
def test_small_pools(n: int) -> None:
    """One, two and five samples are fine."""
    some = solver_space(IDS[:n], PLAIN.features[:n])
    assert np.isfinite(some.opinion(graph(0)).without_itself(TRUTH[:n])).all()


def _easy() -> tuple[tuple[str, ...], np.ndarray]:
    easy, _ = clusters(groups=3, each=40)
    return easy.sample_ids, easy.features
