"""The competitors: they do what their papers say, and see nothing but features and answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from benchmarks.peers.minmax import MinMax
from benchmarks.peers.peer import Peer
from benchmarks.peers.random_pairs import RandomPairs
from benchmarks.peers.repspread import ALPHA, RepSpread

Make = Callable[[NDArray[np.float32], np.random.Generator], Peer]
PEERS: dict[str, Make] = {
    "repspread": RepSpread,
    "minmax": MinMax,
    "random": lambda features, rng: RandomPairs(features, rng, 4),
}


def blobs(spread: float = 0.15) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    labels = np.repeat(np.arange(4), 25)
    noise = np.random.default_rng(0).standard_normal((100, 4))
    return (np.eye(4)[labels] + spread * noise).astype(np.float32), labels


def answer(peer: Peer, labels: NDArray[np.int64], count: int, error: float = 0.0) -> list[tuple[int, int]]:
    """Up to ``count`` answers; the pairs asked."""
    rng = np.random.default_rng(1)
    asked = []
    while len(asked) < count and (pair := peer.ask()) is not None:
        asked.append(pair)
        peer.tell(bool(labels[pair[0]] == labels[pair[1]]) != bool(rng.random() < error))
    return asked


@pytest.mark.parametrize("name", PEERS)
def test_clear_clusters_are_found(name: str) -> None:
    """Four clusters, no errors: all is right, every group is an int64 of every sample."""
    features, labels = blobs()
    peer = PEERS[name](features, np.random.default_rng(0))
    answer(peer, labels, 60)
    groups = peer.groups()
    assert groups.shape == (100,) and groups.dtype == np.int64
    assert adjusted_rand_score(labels, groups) > 0.95


@pytest.mark.parametrize("name", PEERS)
def test_the_same_seed_asks_the_same(name: str) -> None:
    """The generator decides; another one begins elsewhere."""
    features, labels = blobs()
    one, two, other = (PEERS[name](features, np.random.default_rng(seed)) for seed in (3, 3, 4))
    pairs = answer(one, labels, 30, error=0.2)
    assert pairs == answer(two, labels, 30, error=0.2) != answer(other, labels, 30, error=0.2)


@pytest.mark.parametrize("name", PEERS)
def test_it_goes_on_until_nothing_is_left(name: str) -> None:
    """It asks no sample against itself, and once all is known it stops; then its groups are the answers' own."""
    features, labels = blobs(spread=0.6)
    peer = PEERS[name](features[::4], np.random.default_rng(0))
    asked = answer(peer, labels[::4], 2000)
    assert len(asked) < 400 and peer.ask() is None
    assert all(a != b for a, b in asked)
    assert adjusted_rand_score(labels[::4], peer.groups()) == 1.0


def test_repspread_spreads_as_the_equation_says() -> None:
    """Sweeps from where the last ended come to the solution of F = alpha D^-1 W F with answered rows held."""
    features, labels = blobs(spread=0.6)
    peer = RepSpread(features, np.random.default_rng(0))
    answer(peer, labels, 40)
    placed = peer._label >= 0
    for _ in range(20):
        peer._place(int(peer._label[peer._sample]))
    step = peer._step.toarray().astype(float)
    assert np.allclose(step.sum(axis=1), ALPHA, atol=1e-5)
    clamped = np.eye(peer._beliefs.shape[1])[peer._label[placed]]
    free = np.linalg.solve(
        np.eye((~placed).sum()) - step[np.ix_(~placed, ~placed)], step[np.ix_(~placed, placed)] @ clamped
    )
    assert np.allclose(peer._beliefs[~placed], free, atol=1e-3)
    assert np.array_equal(peer._beliefs[placed], clamped)


def test_repspread_asks_the_likeliest_group_first_and_one_representative_each() -> None:
    """A sample is asked to its end, by descending belief, against the groups' founders."""
    features, labels = blobs()
    peer = RepSpread(features, np.random.default_rng(0))
    answer(peer, labels, 40)
    while peer._left:
        peer.tell(same=True)
    sample, partner = peer.ask() or (-1, -1)
    order = np.argsort(-peer._beliefs[sample], kind="stable")
    for group in order:
        assert peer.ask() == (sample, partner := peer._representatives[group])
        peer.tell(same=False)
    assert peer._representatives[-1] == sample != partner


def test_repspread_on_digits() -> None:
    """About what was measured before it was written anew: .92 after 100 answers, .98 after 200."""
    found = load_digits()
    peer = RepSpread((found.data / 16.0).astype(np.float32), np.random.default_rng(0))
    answer(peer, found.target, 100)
    assert adjusted_rand_score(found.target, peer.groups()) > 0.88
    answer(peer, found.target, 100)
    assert adjusted_rand_score(found.target, peer.groups()) > 0.96


def test_minmax_asks_the_farthest_sample_nearest_neighbourhood_first() -> None:
    """argmin over samples of the greatest similarity to any answered one, checked the slow way at every question."""
    features, labels = blobs(spread=0.6)
    peer = MinMax(features, np.random.default_rng(0))
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    asked: list[int] = [peer._sample]
    for _ in range(80):
        sample, partner = peer.ask() or (-1, -1)
        if sample not in asked:
            rest = np.setdiff1d(np.arange(100), asked)
            farthest = apart[np.ix_(rest, asked)].min(axis=1)
            assert np.isclose(apart[sample, asked].min(), farthest.max())
            nearest = asked[int(apart[sample, asked].argmin())]
            assert peer._label[nearest] == peer._label[partner]
            asked.append(sample)
        peer.tell(bool(labels[sample] == labels[partner]))


def test_minmax_holds_what_was_answered() -> None:
    """Also wrong answers: a member of a neighbourhood stays in it."""
    features, labels = blobs()
    peer = MinMax(features, np.random.default_rng(0))
    answer(peer, labels, 80, error=0.2)
    known = peer._label >= 0
    assert np.array_equal(peer.groups()[known], peer._label[known])


def test_random_pairs_never_ask_what_is_implied() -> None:
    """Closure: neither within joined samples nor between components known to differ; joined samples stay together."""
    features, labels = blobs()
    peer = RandomPairs(features, np.random.default_rng(0), 4)
    together = np.eye(100, dtype=bool)
    apart = np.zeros((100, 100), bool)
    for _ in range(150):
        a, b = peer.ask() or (-1, -1)
        if a < 0:
            break
        assert not together[a, b] and not apart[a, b]
        same = bool(labels[a] == labels[b])
        peer.tell(same)
        one, two = together[a].copy(), together[b].copy()
        if same:
            both = one | two
            together[both] |= both
            apart[np.ix_(both, apart[both].any(axis=0))] = True
        else:
            apart[np.ix_(one, two)] = True
        apart |= apart.T
    groups = peer.groups()
    assert all(len(np.unique(groups[row])) == 1 for row in together)
