"""Who may be drawn as whose positive: near neighbours in a space known beforehand (GPS-SSL).

Feizi, Balestriero, Romero-Soriano and Rabbany 2024, "GPS-SSL: Guided Positive Sampling to Inject Prior Into
Self-Supervised Learning", arXiv 2401.01990, section 3. The paper's positive is the farthest sample in a ball around the
anchor; its released code draws uniformly among the nearest. Both are here, and both give a graph rather than a table:
neighbourhood is made symmetric, because an edge of the similarity graph has no direction.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import pairwise_distances_chunked

from pal_backend.core.neighbours import nearest
from pal_backend.core.recipes import NeighbourRule

ADAPTIVE_NEIGHBOURS = 20
"""The adaptive radius is the mean distance to so many nearest neighbours, as in the released code."""

_Ints = NDArray[np.int64]


def positives(features: NDArray[np.floating], rule: NeighbourRule) -> sparse.csr_array:
    """The graph of possible positives, float32 csr (N, N): symmetric, weights 1, no diagonal.

    ``rule.rule`` is "uniform": B(i) = the ``k`` nearest other samples j, of which, if there is a radius t_i, those with
    ||g_i - g_j|| <= t_i are kept. Or "farthest": the one j in {j != i : ||g_i - g_j|| <= t_i} that maximises
    ||g_i - g_j||; without a radius the ball reaches to the k-th neighbour. t_i is a Euclidean distance (the paper's tau
    bounds its square), or, if "adaptive", the mean distance of i to its 20 nearest. A ball that holds nobody gives the
    nearest other sample. A sample is never its own positive, however many others have the very same features.

    An edge is kept if either end chose the other, or with ``rule.mutual`` if both did. The union lets a hub (one sample
    that is near to very many) have as many edges as samples chose it; mutual edges are at most k a sample, and a sample
    that nobody chose back has none: then its own views are all it has.

    Exact. Time O(N^2 D), memory O(N k).

    Args:
        features: g, (N, D), finite.
        rule: how to choose; its ``space`` and ``refresh`` are for those who make the features.

    Raises:
        ValueError: the features are not finite, or the rule's name, k or radius is none of those above.
    """
    x = np.ascontiguousarray(features, dtype=np.float32)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError(f"features of shape {x.shape} cannot be used; expected finite numbers (N, D)")
    if rule.k < 1:
        raise ValueError(f"k is {rule.k}; expected 1 or more neighbours")
    n = len(x)
    if n < 2:
        return sparse.csr_array((n, n), dtype=np.float32)
    if rule.rule == "uniform":
        rows, columns = _uniform(x, rule)
    elif rule.rule == "farthest":
        rows, columns = np.arange(n), _farthest(x, rule)
    else:
        raise ValueError(f"neighbour rule is {rule.rule!r}; expected uniform or farthest")
    one_way = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, n))
    graph = sparse.csr_array(one_way.minimum(one_way.T) if rule.mutual else one_way.maximum(one_way.T))
    graph.sort_indices()
    return graph


def _uniform(x: NDArray[np.float32], rule: NeighbourRule) -> tuple[_Ints, _Ints]:
    """The nearest k within the radius, or the nearest one."""
    distances, found = nearest(x, max(rule.k, ADAPTIVE_NEIGHBOURS) if rule.radius == "adaptive" else rule.k)
    radii = _radii(distances, rule)
    kept = distances[:, : rule.k] <= radii[:, None]
    kept[:, 0] = True
    rows, places = np.nonzero(kept)
    return rows, found[rows, places]


def _farthest(x: NDArray[np.float32], rule: NeighbourRule) -> _Ints:
    """The farthest sample within the radius, int64 (N,), or the nearest one."""
    fixed = rule.radius not in {"", "adaptive"}
    distances, found = nearest(x, 1 if fixed else ADAPTIVE_NEIGHBOURS if rule.radius == "adaptive" else rule.k)
    radii = _radii(distances, rule)
    if not fixed:
        inside = (distances <= radii[:, None]).sum(axis=1)
        chosen: _Ints = found[np.arange(len(x)), np.maximum(inside, 1) - 1]
        return chosen
    return np.concatenate(list(_farthest_blocks(x, radii, found[:, 0])))


def _farthest_blocks(x: NDArray[np.float32], radii: NDArray[np.float32], nearest_one: _Ints) -> Iterator[_Ints]:
    """The same for balls that may hold any number of samples: all distances, a block of rows at a time."""

    def reduce(block: NDArray[np.float32], start: int) -> _Ints:
        rows = np.arange(start, start + len(block))
        block[np.arange(len(block)), rows] = -1.0  # itself
        block[block > radii[rows, None]] = -1.0
        best = block.argmax(axis=1)
        return np.asarray(np.where(block.max(axis=1) < 0, nearest_one[rows], best), np.int64)

    yield from pairwise_distances_chunked(x, reduce_func=reduce, working_memory=64)  # MiB


def _radii(distances: NDArray[np.float32], rule: NeighbourRule) -> NDArray[np.float32]:
    """The radius of each sample's ball, float32 (N,)."""
    if rule.radius == "":
        return np.full(len(distances), np.inf, np.float32)
    if rule.radius == "adaptive":
        means: NDArray[np.float32] = (
            distances[:, :ADAPTIVE_NEIGHBOURS].mean(axis=1, dtype=np.float64).astype(np.float32)
        )
        return means
    if isinstance(rule.radius, str) or not rule.radius > 0:
        raise ValueError(f"radius is {rule.radius!r}; expected adaptive, a number above 0 or nothing")
    return np.full(len(distances), rule.radius, np.float32)
