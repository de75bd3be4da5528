"""What it is worth to place a sample, and to learn whether two groups are one. Pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.beliefs import Beliefs
from pal_backend.core.founding import SUPPORT
from pal_backend.core.graph import TRUSTED
from pal_backend.core.neighbours import Space

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEDOID_WORTH = 10.0
"""A typical sample that may be in no known group is worth this many ordinary ones, times its cluster's size."""
DISPUTED = 0.2
"""Least worth of a sample that trusted answers put where it is not believed to be, over one in full doubt."""
MERGE_WORTH = 5.0
"""Worth of one ordinary sample's place, over that of one sample moved by a merge; a placed sample also tells about its
neighbours, N / L of them, which is taken into account."""
SETTLED = 0.05
"""A re-check worth less than this is not asked, and is moot if it is open."""


def doubt(space: Space, beliefs: Beliefs) -> Floats:
    """Worth of placing each sample, float64 (N,): ``(1 - (p1 - p2)) * I``, p over the groups and "none of them".

    Where "none of them" leads the doubt is full, whatever the margin, since such a sample may found a group; a typical
    sample counts for its cluster. Once answers keep it from as many groups as a founder, what is left in doubt is the share
    of the groups that it was not kept from. An answered sample's p holds its answers: an unlikely one leaves doubt, and so
    is asked about again, also where everything else outvotes it, since trusted answers hold until answers overrule them.
    """
    p = beliefs.probabilities
    stake = 1.0 - beliefs.margins
    here = beliefs.answered[beliefs.placed[beliefs.answered] >= 0]
    stake[here] = np.maximum(stake[here], DISPUTED * (1.0 - p[here, beliefs.placed[here]]))
    alone, left = _new(beliefs)
    stake[alone] = left
    score = stake * beliefs.influence
    rows, sizes = space.medoids
    typical = MEDOID_WORTH * p[rows, -1] * sizes * np.where(np.isin(rows, alone), stake[rows], 1.0)
    score[rows] = np.maximum(score[rows], typical)
    return score


def _new(beliefs: Beliefs) -> tuple[Ints, Floats]:
    """Rows believed to be none of the groups, that answers keep from as many as a founder must differ from, and the share
    of the groups that they do not keep each from.
    """
    p, count = beliefs.probabilities[beliefs.answered], len(beliefs.groups)
    apart = (beliefs.evidence <= -TRUSTED).sum(axis=1)
    new = (p[:, -1] >= p[:, :-1].max(axis=1, initial=0.0)) & (apart >= min(SUPPORT, count)) & (count > 0)
    return beliefs.answered[new], 1.0 - apart[new] / max(count, 1)


def merge_gains(beliefs: Beliefs) -> Floats:
    """Worth of asking whether two groups are one, float64 (K, K), symmetric, zero on the diagonal.

    ``O_kl * (size of the smaller)``, per N / L samples, O the chances that they are one.
    """
    sizes = beliefs.sizes
    gains = in_places(beliefs, beliefs.one * np.minimum(sizes[:, None], sizes[None, :]))
    np.fill_diagonal(gains, 0.0)
    return gains


def in_places(beliefs: Beliefs, samples: Floats | float) -> Floats:
    """What it is worth to move so many samples at once, by a merge or at a seam, in ordinary samples placed."""
    return np.asarray(MERGE_WORTH * samples * (len(beliefs.answered) / len(beliefs.placed)))
