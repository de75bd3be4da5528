"""How often each annotator is wrong, from the answers alone, and what an answer therefore weighs."""

from __future__ import annotations

import math
from collections.abc import Mapping

PRIOR_WRONG, PRIOR_ALL = 1.0, 10.0
"""Beta(1, 9): before anything is known, one answer in ten is taken to be wrong."""
LEAST_ERROR, MOST_ERROR = 0.03, 0.5
"""Bounds of an error rate. At the lower one an answer weighs 1.6 times a newcomer's, so two newcomers outweigh anybody."""


def error_rates(tally: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Posterior mean of each annotator's error rate under the Beta prior, within the bounds.

    Args:
        tally: annotator to (answers that the rest of the answers overrule, answers in all). Errors that nothing
            contradicts stay unseen, so the estimate errs on the trusting side.

    >>> error_rates({"ann": (0, 0), "bob": (4, 10)})
    {'ann': 0.1, 'bob': 0.25}
    """
    return {
        name: min(max((PRIOR_WRONG + wrong) / (PRIOR_ALL + total), LEAST_ERROR), MOST_ERROR)
        for name, (wrong, total) in tally.items()
    }


def log_odds(error_rate: float) -> float:
    """Weight of one answer, ``ln((1 - e) / e)``; what several answers on one pair weigh is the sum, with signs.

    >>> round(log_odds(0.1), 3)
    2.197
    """
    return math.log((1.0 - error_rate) / error_rate)
