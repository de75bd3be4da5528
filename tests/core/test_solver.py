"""The exact solver: beside dense algebra, closed forms, descent, and itself from scratch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.solver import Links, Solver
from pal_backend.core.vocabulary import Answer
from tests.core.worlds import said

N, P, K, RIDGE = 40, 6, 3, 0.05
NAMES = [f"{row:02d}" for row in range(N)]
INDEX = {name: row for row, name in enumerate(NAMES)}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, P)) + 2.0
CENTRED = X - X.mean(axis=0)
DRAWN = sparse.random_array((N, N), density=0.1, rng=np.random.default_rng(1))
PRIOR = sparse.csr_array((DRAWN + DRAWN.T) / 4.0)


def answers(count: int, seed: int = 0, groups: int = 4) -> list[Answer]:
    """True answers about random pairs; a sample's class is its number modulo ``groups``."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(N, 2, replace=False) for _ in range(count)]
    return [
        said(n, NAMES[i], NAMES[j], "same" if i % groups == j % groups else "different")
        for n, (i, j) in enumerate(drawn)
    ]


def links(some: list[Answer]) -> Links:
    """What they say about the rows."""
    return Links.of(SimilarityGraph.of(some), INDEX)


def answered_part(some: list[Answer]) -> np.ndarray:
    """B C B^T from its formula, entry by entry."""
    graph = SimilarityGraph.of(some)
    degree = {root: sum(root in pair for pair in graph.cannot) for root in graph.members}
    h = np.zeros((N, N))
    for a, rows in graph.members.items():
        for b, others in graph.members.items():
            block = np.ix_([INDEX[s] for s in rows], [INDEX[s] for s in others])
            if a == b and len(rows) > 1:
                h[block] = 1.0 / len(rows)
            elif graph.apart(a, b):
                h[block] = -1.0 / np.sqrt(len(rows) * degree[a] * len(others) * degree[b])
    return h


def objective(x: np.ndarray, w: np.ndarray, h: np.ndarray, ridge: float) -> float:
    """||X W W^T X^T - H||^2 + 2 lambda ||W||^2."""
    z = x @ w
    return float(((z @ z.T - h) ** 2).sum() + 2.0 * ridge * (w**2).sum())


def solved(some: list[Answer], x: np.ndarray = X, **more: float) -> Solver:
    """A solver that was told everything at once."""
    solver = Solver(x, PRIOR, dimension=K, ridge=RIDGE, **more)
    solver.update(links(some))
    return solver


def test_links_match_reference() -> None:
    """The sparse answered part of H is its formula, entry by entry, cannot-links included."""
    some = answers(60)
    assert links(some).apart
    assert links(some).matrix(N).toarray() == pytest.approx(answered_part(some), abs=1e-12)


def test_solver_matches_reference() -> None:
    """ZZ^T is that of the textbook form with dense S^{-1/2}, with prior, answers and their weight."""
    some = answers(60)
    h = PRIOR.toarray() + 0.7 * answered_part(some)
    s, v = np.linalg.eigh(CENTRED.T @ CENTRED)
    root = v @ np.diag(s**-0.5) @ v.T
    values, u = np.linalg.eigh(root @ (CENTRED.T @ h @ CENTRED - RIDGE * np.eye(P)) @ root)
    z = CENTRED @ root @ u[:, -K:] * np.sqrt(np.maximum(values[-K:], 0.0))
    found = solved(some, answer=0.7).solve()
    assert found.embed(X) @ found.embed(X).T == pytest.approx(z @ z.T, abs=1e-9)
    assert found.values == pytest.approx(np.maximum(values[::-1][:K], 0.0), abs=1e-9)


def test_minimum_closed_form() -> None:
    """The objective at W is ||H||^2 less the squared positive eigenvalues, and no perturbation of W is lower."""
    some = answers(60)
    h = PRIOR.toarray() + answered_part(some)
    found = solved(some).solve()
    least = objective(CENTRED, found.weights, h, RIDGE)
    assert least == pytest.approx((h**2).sum() - found.gain, abs=1e-9)
    rng = np.random.default_rng(2)
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(30):
            assert objective(CENTRED, found.weights + size * rng.standard_normal((P, K)), h, RIDGE) >= least


def test_descent_reaches_the_same_minimum() -> None:
    """Gradient descent from a random start ends at the same value to 1e-6."""
    some = answers(60)
    h = PRIOR.toarray() + answered_part(some)
    w = 0.1 * np.random.default_rng(3).standard_normal((P, K))
    for _ in range(20_000):
        z = CENTRED @ w
        w -= 2e-4 * (4.0 * CENTRED.T @ (z @ (z.T @ z) - h @ z) / 4.0 + RIDGE * w)
    assert objective(CENTRED, w, h, RIDGE) == pytest.approx((h**2).sum() - solved(some).solve().gain, abs=1e-6)


@pytest.mark.parametrize(("kept", "value"), [(3, 0.0), (2, 16.0), (1, 32.0)])
def test_spectral_minimum_of_labels_closed_form(kept: int, value: float) -> None:
    """Three classes of four, X the identity, no ridge: min ||ZZ^T - YY^T||^2 is 0, 16 and 32 for K = 3, 2 and 1."""
    y = np.repeat(np.eye(3), 4, axis=0)
    found = Solver(np.eye(12), sparse.csr_array(y @ y.T), dimension=kept, ridge=0.0, centred=False).solve()
    assert objective(np.eye(12), found.weights, y @ y.T, 0.0) == pytest.approx(value, abs=1e-6)


def test_spectral_minimum_of_twins_closed_form() -> None:
    """Six pairs of twins with weights one half, K = 4: the minimum is 2."""
    h = np.kron(np.eye(6), np.full((2, 2), 0.5))
    found = Solver(np.eye(12), sparse.csr_array(h), dimension=4, ridge=0.0, centred=False).solve()
    assert objective(np.eye(12), found.weights, h, 0.0) == pytest.approx(2.0, abs=1e-6)


def test_probe_identity_closed_form() -> None:
    """For labels as H: the probe's residual is ||Y||^2 - tr(Z^T YY^T Z), and the span is that of the fitted values."""
    y = np.eye(3)[np.arange(N) % 3]
    x = np.concatenate([X, np.ones((N, 1))], axis=1)
    found = Solver(x, sparse.csr_array(y @ y.T), dimension=3, ridge=0.0, centred=False).solve()
    z, _ = np.linalg.qr(found.embed(x))
    residual = ((y - z @ (z.T @ y)) ** 2).sum()
    assert residual == pytest.approx((y**2).sum() - np.trace(z.T @ y @ y.T @ z), abs=1e-6)
    fitted, _ = np.linalg.qr(x @ np.linalg.lstsq(x, y, rcond=None)[0])
    assert z @ z.T == pytest.approx(fitted @ fitted.T, abs=1e-6)


def test_disjoint_cliques_spectrum_closed_form() -> None:
    """c components without cannot-links: the answered part of H has the eigenvalue 1 exactly c times, else 0."""
    cliques = [range(0, 5), range(5, 8), range(8, 10)]
    same = [(rows[0], other) for rows in cliques for other in rows[1:]]
    some = [said(n, NAMES[i], NAMES[j], "same") for n, (i, j) in enumerate(same)]
    values = np.linalg.eigvalsh(links(some).matrix(N).toarray())
    assert values[-3:] == pytest.approx(1.0, abs=1e-6)
    assert values[:-3] == pytest.approx(0.0, abs=1e-6)


def test_cannot_links_spectrum_property() -> None:
    """Whatever the answers, cannot-links alone have their eigenvalues within [-1, 1]."""
    for seed in range(5):
        h = answered_part(answers(80, seed))
        values = np.linalg.eigvalsh(np.where(h < 0.0, h, 0.0))
        assert values[0] >= -1.0 - 1e-9 and values[-1] <= 1.0 + 1e-9


def test_incremental_equals_from_scratch() -> None:
    """Told answer by answer, withdrawals in between, M is what it is when told everything at once, to 1e-9."""
    some, solver, held = answers(150), solved([]), []
    for n, answer in enumerate(some):
        held.append(answer)
        if n % 7 == 6:
            held.pop(n % len(held))
        solver.update(links(held))
    assert solver._m == pytest.approx(solved(held)._m, abs=1e-9)
    assert solver.solve().weights == pytest.approx(solved(held).solve().weights, abs=1e-7)


def test_withdrawing_everything_restores() -> None:
    """With all answers withdrawn again, M is what it was, to 1e-9."""
    before = solved([])._m.copy()
    solver = solved(answers(100))
    assert np.abs(solver._m - before).max() > 0.01
    solver.update(Links())
    assert solver._m == pytest.approx(before, abs=1e-9)


def test_other_rows_are_never_looked_at() -> None:
    """An update reads the rows of the components that changed, and no others."""
    base = [
        said(1, NAMES[0], NAMES[1], "same"),
        said(2, NAMES[5], NAMES[6], "same"),
        said(3, NAMES[0], NAMES[5], "different"),
    ]
    x = X.copy()
    solver = solved(base, x)
    expected = solved([*base, said(4, NAMES[0], NAMES[2], "same")])._m
    x[3:] = np.nan
    solver.update(links([*base, said(4, NAMES[0], NAMES[2], "same")]))
    assert solver._m == pytest.approx(expected, abs=1e-9)


def test_permutation_property() -> None:
    """Samples in another order: the same Z, row by row."""
    order = np.random.default_rng(4).permutation(N)
    some = answers(60)
    there = Solver(X[order], sparse.csr_array(PRIOR[order][:, order]), dimension=K, ridge=RIDGE)
    there.update(Links.of(SimilarityGraph.of(some), {NAMES[row]: n for n, row in enumerate(order)}))
    z, moved = solved(some).solve().embed(X), there.solve().embed(X[order])
    assert moved @ moved.T == pytest.approx((z @ z.T)[np.ix_(order, order)], abs=1e-9)


def test_answers_in_any_order_give_the_same() -> None:
    """Told the same answers in other portions, W is the same to 1e-7, sign included."""
    some = answers(90)
    one, other = solved(some), solved([])
    for start in range(0, 90, 8):
        other.update(links(some[: start + 8]))
    assert other.solve().weights == pytest.approx(one.solve().weights, abs=1e-7)


def test_single_precision_is_close() -> None:
    """float32 features give ZZ^T within 1e-4 of the float64 ones, and an embedding in float32."""
    found, single = solved(answers(60)).solve(), solved(answers(60), X.astype(np.float32)).solve()
    z, small = found.embed(X), single.embed(X.astype(np.float32))
    assert small.dtype == np.float32
    assert small @ small.T == pytest.approx(z @ z.T, abs=1e-4)


def test_dependent_features_change_nothing() -> None:
    """Columns that repeat others, and constant ones, leave ZZ^T as it is without a ridge."""
    wide = np.concatenate([X, X[:, :2] - X[:, 2:4], np.ones((N, 1))], axis=1)
    found, plain = (Solver(x, PRIOR, dimension=K, ridge=0.0) for x in (wide, X))
    assert (found.rank, plain.rank) == (P, P)
    z, expected = found.solve().embed(wide), plain.solve().embed(X)
    assert z @ z.T == pytest.approx(expected @ expected.T, abs=1e-9)


def test_more_dimensions_than_rank() -> None:
    """Columns beyond the rank are 0, and so is everything without a positive eigenvalue."""
    solver = Solver(X, None, dimension=10, ridge=RIDGE)
    assert not solver.solve().weights.any()
    solver.update(links(answers(60)))
    found = solver.solve()
    assert found.weights.shape == (P, 10)
    assert not found.weights[:, P:].any() and found.weights[:, 0].any()


@pytest.mark.parametrize("x", [np.zeros((5, 3)), np.ones((1, 3)), np.zeros((0, 3)), np.zeros((4, 0))])
def test_features_that_tell_nothing(x: np.ndarray) -> None:
    """Constant features, a single sample and none at all give an embedding of zeros."""
    solver = Solver(x, dimension=2)
    solver.update(Links({"a": tuple(range(min(2, len(x))))} if len(x) > 1 else {}))
    assert solver.rank == 0
    assert solver.solve().embed(x).shape == (len(x), 2)
    assert not solver.solve().weights.any()


def test_samples_of_another_pool_are_left_out() -> None:
    """Answers about samples that the space does not know say nothing about the rest."""
    found = Links.of(SimilarityGraph.of([said(1, "x", "y", "same"), said(2, "x", NAMES[0], "different")]), INDEX)
    assert found.members == {NAMES[0]: (0,)} and not found.apart


@pytest.mark.parametrize(
    ("x", "more", "words"),
    [
        (np.zeros(3), {}, "shape"),
        (np.zeros((3, 2), np.int64), {}, "int64"),
        (X, {"prior": sparse.csr_array((2, 2))}, "prior"),
        (X, {"dimension": 0}, "dimension 0"),
        (X, {"ridge": -1.0}, "ridge -1"),
    ],
)
def test_what_does_not_fit_is_said(x: np.ndarray, more: dict[str, object], words: str) -> None:
    """Arguments out of range are named in the error."""
    with pytest.raises(ValueError, match=words):
        Solver(x, **{"dimension": 2, **more})  # type: ignore[arg-type]
