import numpy as np
import pytest

from pal_backend.core.neighbours import CONTRASTS, FELT, build_space, contrast_of
from tests.core.worlds import clusters


def test_neighbours_are_exact_and_exclude_the_sample() -> None:
    """On a line each sample's strongest edges are to its neighbours, and never to itself."""
    space = build_space([str(i) for i in range(10)], np.arange(10, dtype=np.float32)[:, None], k=2)
    dense = space.graph.toarray()
    assert dense.dtype == np.float32
    assert not dense.diagonal().any()
    assert set(space.neighbours(5).tolist()) == {4, 6}
    assert dense == pytest.approx(dense.T)


def test_weights_are_self_tuning() -> None:
    """Scaling all features changes no weight."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3)).astype(np.float32)
    ids = [str(i) for i in range(60)]
    assert build_space(ids, x).graph.toarray() == pytest.approx(build_space(ids, 40 * x).graph.toarray(), abs=1e-4)


@pytest.mark.parametrize("dimensions", [2, 5, 15])
def test_a_sample_feels_as_many_neighbours_in_any_number_of_dimensions(dimensions: int) -> None:
    """Distances to neighbours differ little where there are many dimensions; the contrast makes up for that."""
    points = np.random.default_rng(0).standard_normal((400, dimensions))
    squares = np.sort(((points[:, None] - points) ** 2).sum(axis=2), axis=1)[:, 1:11]
    apart = squares / squares[:, 6:7]
    w = np.exp(-contrast_of(apart) * apart)
    assert (w.sum(axis=1) ** 2 / (w**2).sum(axis=1)).mean() == pytest.approx(FELT, abs=0.01)


def test_contrast_has_bounds() -> None:
    """Neighbours all equally far are all felt, whatever the contrast; two are never five."""
    assert contrast_of(np.ones((20, 10))) == CONTRASTS[1]
    assert contrast_of(np.asarray([[1.0, 2.0]] * 20)) == CONTRASTS[0]


def test_neighbours_of_each_other_count_twice() -> None:
    """The weight of an edge is the mean of both directions."""
    graph = build_space(["a", "b", "c"], np.asarray([[0.0], [1.0], [3.0]]), k=1).graph.toarray()
    c = CONTRASTS[0]  # of one neighbour nobody feels five
    # scales are 1, 1 and 2; b is c's neighbour, but not c b's
    assert graph[0, 1] == pytest.approx(np.exp(-c)) and graph[1, 2] == pytest.approx(np.exp(-2.0 * c) / 2.0)


def test_identical_features_do_no_harm() -> None:
    """Equal rows give finite weights and no empty graph."""
    space = build_space([str(i) for i in range(20)], np.ones((20, 4), np.float32))
    assert np.isfinite(space.graph.data).all() and space.graph.nnz > 0
    assert np.isfinite(space.densities).all()


def test_one_sample_has_no_neighbours() -> None:
    """A pool of one is a space without edges."""
    assert build_space(["a"], np.ones((1, 4), np.float32)).graph.nnz == 0


def test_medoids_are_typical() -> None:
    """Every cluster has a medoid, and their sizes average to one."""
    space, labels = clusters()
    rows, sizes = space.medoids
    assert set(labels[rows]) == set(labels)
    assert sizes.mean() == pytest.approx(1.0, rel=0.2)


def test_the_hardest_samples_come_first() -> None:
    """By pretext loss where there is one, equals by sample id; else by what a PCA leaves out."""
    x = np.asarray([[0.0, 0.0], [1.0, 0.0], [2.0, 0.1], [3.0, 0.0], [4.0, 0.0]])
    ids = ["e", "d", "c", "b", "a"]
    assert build_space(ids, x, difficulty=np.asarray([0.5, 2.0, 0.5, 1.0, 0.1])).hardest.tolist() == [1, 3, 2, 0, 4]
    assert build_space(ids, x).hardest[0] == 2


@pytest.mark.parametrize("difficulty", [np.ones(3), np.ones((2, 1)), np.asarray([1.0, np.nan])])
def test_a_malformed_difficulty_is_refused(difficulty: np.ndarray) -> None:
    """It needs one finite number for each sample."""
    with pytest.raises(ValueError, match="expected 2 finite numbers"):
        build_space(["a", "b"], np.ones((2, 2)), difficulty=difficulty)


@pytest.mark.parametrize(
    ("ids", "features", "words"),
    [
        (["a", "b"], np.ones((3, 2)), "do not fit"),
        (["a", "a"], np.ones((2, 2)), "twice"),
        (["a", "b"], np.asarray([[1.0], [np.nan]]), "finite"),
    ],
)
def test_malformed_spaces_are_refused(ids: list[str], features: np.ndarray, words: str) -> None:
    """What does not fit together is refused with the reason."""
    with pytest.raises(ValueError, match=words):
        build_space(ids, features)
