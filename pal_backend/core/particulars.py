r"""What answers say of single samples, for P(same): whom they are told from, and where their group may be two classes.

Beliefs F hold each sample's own answers, and O how likely two groups are one; but the two hang together. A sample that seven
answers tell from group l is surely of its own group g if these are two, and of neither if they are one. With b_k what is
believed of it without its own answers, r_k = exp of the log-odds that these give group k, and
:math:`B = b_0 + \sum_k b_k r_k`, it is of either if they are one by

.. math::
    A_l = \frac{(b_g + b_l)\, r_g r_l}{(b_g + b_l)\, r_g r_l + B - b_g r_g - b_l r_l}

instead of :math:`F_g + F_l`, the likelihoods of :mod:`pal_backend.core.merging`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.seams import Seam
from pal_backend.core.beliefs import Beliefs
from pal_backend.core.merging import STRONGEST
from pal_backend.core.posterior import Particulars
from pal_backend.core.priors import founding

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def particulars(beliefs: Beliefs, seams: Sequence[Seam]) -> Particulars | None:
    """Of the answered samples; None where there is no group."""
    if not beliefs.groups:
        return None
    rows = beliefs.answered
    place = np.empty(len(beliefs.placed), np.int64)
    place[rows] = np.arange(len(rows))
    sides = np.zeros((len(rows), len(seams)), np.int8)
    for c, seam in enumerate(seams):
        sides[place[seam.small], c] = 1
        sides[place[seam.large], c] = -1
    return Particulars(
        rows=rows.astype(np.int32),
        akin=_akin(beliefs).astype(np.float32),
        sides=sides,
        two=np.asarray([seam.two for seam in seams], np.float32),
    )


def _akin(beliefs: Beliefs) -> Floats:
    """M, (L, K): ``F O``, but that answered samples are of their own group g or another one, if these are one, by A."""
    f, placed = beliefs.probabilities[beliefs.answered, :-1].astype(np.float64), beliefs.placed[beliefs.answered]
    at, g = np.arange(len(f)), np.where(placed >= 0, placed, f.argmax(axis=1))
    evidence = beliefs.evidence * beliefs.dials.strength
    either = _in_either(founding(beliefs.own, beliefs.evidence, placed, beliefs.apart), evidence, g)
    one = beliefs.one[g]
    one[at, g] = 0.0
    changed = one * (either - f - f[at, g][:, None])
    found = f @ beliefs.one + changed
    found[at, g] += changed.sum(axis=1)
    return np.asarray(np.clip(found, 0.0, 1.0))


def _in_either(own: Floats, evidence: Floats, g: Ints) -> Floats:
    """A, (L, K), for b ``own`` (L, K + 1), ln r ``evidence`` (L, K) and own groups ``g`` (L,)."""
    at = np.arange(len(g))
    b, r = own[:, :-1], np.exp(np.clip(evidence, -STRONGEST, STRONGEST))
    br = b * r
    rest = np.maximum(own[:, -1:] + br.sum(axis=1, keepdims=True) - br[at, g][:, None] - br, 0.0)
    either = (b + b[at, g][:, None]) * r * r[at, g][:, None]
    return np.asarray(either / np.maximum(either + rest, 1e-12))
