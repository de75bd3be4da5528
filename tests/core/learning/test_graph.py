"""The similarity graph as training uses it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learning.graph import build_training_graph, measured_precision, prior_edges, strongest
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict
from tests.core.learning.graphs import graph_of

IDS = [f"{n:016x}" for n in range(30)]
SPACE = build_space(IDS, np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32), k=5)


def said(*facts: tuple[int, int, Verdict]) -> list[Answer]:
    """Answers of one person."""
    return [Answer(AnnotationKey("d", n), Pair.of(IDS[i], IDS[j]), v, "x") for n, (i, j, v) in enumerate(facts, 1)]


ANSWERS = said(
    (0, 1, Verdict.SAME), (1, 2, Verdict.SAME), (3, 4, Verdict.SAME), (2, 3, Verdict.DIFFERENT), (5, 6, Verdict.UNSURE)
)


def test_components_and_cannot_links_follow_the_answers() -> None:
    """Samples joined by "same" have one number, "different" keeps two numbers apart, the unsure are in none."""
    graph = build_training_graph(SPACE, ANSWERS)
    a, b = graph.components[0], graph.components[3]
    assert graph.components[[0, 1, 2, 3, 4]].tolist() == [a, a, a, b, b]
    assert (graph.components[5:] == -1).all()
    assert [sorted(pair) for pair in graph.cannot.tolist()] == [sorted([int(a), int(b)])]
    assert sorted(len(part) for part in graph.members) == [2, 3]


def test_answered_pairs_are_signed_by_the_evidence_of_answers_alone() -> None:
    """Confidence is 2 P(same) - 1 with P from the answers' log-odds; unsure answers are no edges."""
    graph = build_training_graph(SPACE, ANSWERS)
    weights = {pair: edge.weight for pair, edge in SimilarityGraph.of(ANSWERS).edges.items()}
    for (i, j), signed in zip(graph.pairs.tolist(), graph.signed.tolist(), strict=True):
        odds = weights[Pair.of(IDS[i], IDS[j])]
        assert signed == pytest.approx(2 / (1 + np.exp(-odds)) - 1, abs=1e-6)
    assert len(graph.pairs) == 4


def test_answers_on_unknown_samples_are_left_out() -> None:
    """A sample that the space does not hold has no row, and its answers no edges."""
    extra = Answer(AnnotationKey("d", 99), Pair.of(IDS[0], "f" * 16), Verdict.SAME, "x")
    assert len(build_training_graph(SPACE, [*ANSWERS, extra]).pairs) == 4


def test_the_order_of_answers_does_not_matter() -> None:
    """The graph is a function of the set."""
    first, second = build_training_graph(SPACE, ANSWERS), build_training_graph(SPACE, ANSWERS[::-1])
    assert np.array_equal(first.pairs, second.pairs)
    assert np.array_equal(first.signed, second.signed)
    assert np.array_equal(first.components, second.components)


def test_the_prior_is_symmetric_without_self_and_weighs_its_measured_precision() -> None:
    """No sample is its own neighbour, and "different" answers on neighbours lower every prior edge."""
    prior = build_training_graph(SPACE, []).prior
    assert prior.dtype == np.float32
    assert abs(prior - prior.T).max() == 0
    assert prior.diagonal().max() == 0
    assert prior.max() == pytest.approx(DEFAULT.prior * 0.8 * prior_edges(SPACE).max(), rel=1e-5)
    pair = next(zip(*SPACE.graph.nonzero(), strict=True))
    doubtful = build_training_graph(SPACE, said((int(pair[0]), int(pair[1]), Verdict.DIFFERENT))).prior
    assert doubtful.max() < prior.max()


def test_precision_is_the_mean_of_the_beta_posterior() -> None:
    """Two of three answered neighbours the same, with the prior Beta(4, 1): 6 of 8; pairs that are no neighbours do not count."""
    edges = sparse.csr_array(
        np.array([[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0] * 5], np.float32)
    )
    pairs = np.array([[0, 1], [2, 0], [0, 3], [3, 4]])
    assert measured_precision(edges, pairs, np.array([2.0, 2.0, -2.0, -2.0])) == pytest.approx(6 / 8)
    assert measured_precision(edges, pairs[:0], np.empty(0)) == pytest.approx(4 / 5)


def test_only_the_strongest_neighbours_are_kept() -> None:
    """Each sample's best edges stay, and an edge that either end keeps stays for both."""
    kept = strongest(SPACE.graph, 2)
    assert abs(kept - kept.T).max() == 0
    for row in range(30):
        mine, all_mine = kept[[row]].toarray().ravel(), SPACE.graph[[row]].toarray().ravel()
        assert set(np.argsort(-all_mine)[:2].tolist()) <= set(np.flatnonzero(mine).tolist())
    assert kept.nnz < SPACE.graph.nnz


def test_prior_edges_weigh_alike_in_spaces_of_any_contrast() -> None:
    """exp(-2 r) between neighbours of each other; where only one is the other's, half of it or a little more."""
    sharp, plain = (prior_edges(build_space(IDS, SPACE.features, contrast=c)).toarray() for c in (4.0, 2.0))
    edges = (sharp > 0.0) & (plain > 0.0)
    assert edges.sum() > 0.9 * (plain > 0.0).sum()
    ratio = sharp[edges] / plain[edges]
    alike, half = (np.abs(ratio - expected) < 1e-3 for expected in (1.0, 2.0**0.5))
    assert (alike | half).all() and alike.any() and half.any()


def test_what_is_said_of_a_pair_stands_in_the_place_of_the_prior() -> None:
    """Both directions, with the answer's sign and confidence; prior weights elsewhere."""
    graph = graph_of(5, [(0, 1), (3, 2)], [-0.4, 0.7], prior=[(0, 1, 0.3), (1, 4, 0.2)])
    expected = np.zeros((5, 5), np.float32)
    for i, j, weight in ((0, 1, -0.4), (2, 3, 0.7), (1, 4, 0.2)):
        expected[i, j] = expected[j, i] = weight
    np.testing.assert_allclose(graph.said.toarray(), expected, atol=1e-7)
