"""Near duplicates: the same picture in another size, quality or crop of a hair's breadth. Never N x N.

A difference hash (Krawetz 2013, "Kind of Like That"; dHash) of each small image proposes pairs, the small images decide.
Hashes that differ in at most :data:`BITS` of 64 bits agree on two of six bands at least, so that sorting by each two bands
puts them side by side.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

BITS = 4
"""Bits in which the hashes of near duplicates differ at most."""
BANDS = 6
STEP = 1.0
"""Grey levels by which a place must be darker than the next to count: compression moves plain areas by less."""
WINDOW = 24
"""Hashes of a bucket that each is compared with; in buckets that are larger, of plain pictures, some pairs are not found."""
LIKENESS = 0.99
"""Least correlation of two small images, channels side by side, that are near duplicates."""
BRIGHTER = 32.0
"""Most grey levels by which their means differ."""
SIDE = 16
"""Pixels of the small images that are compared."""
CHUNK = 4_096

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


def difference_hashes(images: NDArray[np.uint8]) -> Hashes:
    """64 bits for each of N images, uint8 (N, S, S, C), S at least 8: is a place brighter than the one to its left, on 8 x 9 places."""
    tall, wide = _means(images.shape[1], 8), _means(images.shape[2], 9)
    hashes = np.empty(len(images), np.uint64)
    for at in range(0, len(images), CHUNK):
        grey = images[at : at + CHUNK].mean(axis=-1, dtype=np.float32)
        places = tall @ grey @ wide.T
        bits = (places[:, :, 1:] - places[:, :, :-1] > STEP).reshape(len(places), 64)
        hashes[at : at + CHUNK] = np.packbits(bits, axis=1).view(">u8").ravel()
    return hashes


def close_pairs(hashes: Hashes) -> tuple[Rows, Rows]:
    """Pairs of rows, (P,) and (P,), first below second, whose hashes differ in at most :data:`BITS` bits.

    Of rows with the same hash each is paired with the first; of others, first with first.
    """
    unique, first, back = np.unique(hashes, return_index=True, return_inverse=True)
    rows = np.arange(len(hashes))
    twins = rows[first[back] != rows]
    found = [np.stack([first[back[twins]], twins])]
    masks = _bands()
    for a, b in combinations(range(BANDS), 2):
        key = unique & (masks[a] | masks[b])
        order = np.argsort(key, kind="stable")  # of equal keys the hashes stay sorted
        for step in range(1, min(WINDOW, len(order) - 1) + 1):
            here, there = order[:-step], order[step:]
            same = key[here] == key[there]
            if not same.any():
                break
            here, there = here[same], there[same]
            near = np.bitwise_count(unique[here] ^ unique[there]) <= BITS
            found.append(np.sort(np.stack([first[here[near]], first[there[near]]]), axis=0))
    left, right = np.concatenate(found, axis=1)
    pairs = np.unique(left * len(hashes) + right)
    return np.divmod(pairs, len(hashes))


def near_duplicates(images: NDArray[np.uint8]) -> Rows:
    """For each of N images, uint8 (N, S, S, C), the row of the picture it is a near duplicate of, int64 (N,); its own if of none.

    The first of some near duplicates stands for them, and each of the others is near that one itself, so that no chain of
    small steps joins pictures that are not alike.
    """
    stands_for = np.arange(len(images), dtype=np.int64)
    if len(images) < 2:
        return stands_for
    left, right = close_pairs(difference_hashes(images))
    alike = _alike(images, left, right)
    order = np.lexsort((left[alike], right[alike]))
    for a, b in zip(left[alike][order].tolist(), right[alike][order].tolist(), strict=True):
        if stands_for[b] == b and stands_for[a] == a:
            stands_for[b] = a
    return stands_for


def _alike(images: NDArray[np.uint8], left: Rows, right: Rows) -> NDArray[np.bool_]:
    """Whether the small images of pairs are alike, bool (P,)."""
    fine = _means(images.shape[1], min(SIDE, images.shape[1]))
    alike = np.zeros(len(left), bool)
    for at in range(0, len(left), CHUNK):
        a, b = (_flat(images[rows[at : at + CHUNK]], fine) for rows in (left, right))
        means = [x.mean(axis=1, keepdims=True) for x in (a, b)]
        a, b = a - means[0], b - means[1]
        size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        brighter = np.abs(means[0] - means[1])[:, 0]
        # Two plain pictures have no likeness to measure; they are near where they are of one brightness.
        plain = np.maximum(a.std(axis=1), b.std(axis=1)) < STEP
        like = (a * b).sum(axis=1) >= LIKENESS * np.maximum(size, 1e-6)
        alike[at : at + CHUNK] = np.where(plain, brighter < STEP, like & (brighter < BRIGHTER))
    return alike


def _flat(images: NDArray[np.uint8], fine: NDArray[np.float32]) -> NDArray[np.float32]:
    small = np.einsum("as,nstc,bt->nabc", fine, images.astype(np.float32), fine, optimize=True)
    return np.asarray(small.reshape(len(small), -1), np.float32)


def _means(size: int, parts: int) -> NDArray[np.float32]:
    """Means over equal parts of ``size`` places, as a matrix (parts, size); places on a border count in shares."""
    edges = np.linspace(0.0, size, parts + 1)
    start, end = np.arange(size), np.arange(1, size + 1)
    shares = np.clip(np.minimum(end, edges[1:, None]) - np.maximum(start, edges[:-1, None]), 0.0, None)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def _bands() -> list[np.uint64]:
    """Masks of the bands: 64 bits in six parts."""
    edges = np.linspace(0, 64, BANDS + 1).round().astype(int).tolist()
    return [np.uint64((1 << b) - (1 << a)) for a, b in pairwise(edges)]
