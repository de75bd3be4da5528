"""What the system believes about every sample, as workers publish it and the web process reads it. numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.quality import Quality
from pal_backend.core.vocabulary import Question, SampleId

SURE = 0.995
"""P(same) is never surer than this, nor its opposite: people err."""


Rows = Sequence[int] | NDArray[np.int64]


def raw_same(
    first: NDArray[np.float32], second: NDArray[np.float32], one: NDArray[np.floating] | None
) -> NDArray[np.float64]:
    """Uncalibrated P(same) of n pairs, ``sum_kl F_ik O_kl F_jl``: both are in one group, or in two that are one.

    Args:
        first: float32 (n, K), beliefs F_i of each pair's one sample.
        second: (n, K) or (1, K), F_j of the other one.
        one: (K, K), O, chances that two groups are one, 1 on the diagonal; None for the identity.

    Returns:
        float64 (n,), clipped to [.005, .995].
    """
    met = first if one is None else first @ one
    p: NDArray[np.float64] = np.einsum("nk,nk->n", met, second, dtype=np.float64)
    return np.clip(p, 1.0 - SURE, SURE)


@dataclass(frozen=True)
class Posterior:
    """Beliefs over N samples and K groups after some number of answers.

    Args:
        sample_ids: the N samples, in the order of the rows.
        groups: K group ids (each the id of the sample that founded the group).
        probabilities: float32 (N, K), each row non-negative with a sum of at most 1; what is missing is "none of them".
        components: int32 (N,), equal numbers for samples joined by trusted "same" answers, -1 for a sample in none.
        cannot: int32 (M, 2), components that trusted answers keep apart, each row ascending.
        slope: of the calibration, P(same) = sigmoid(slope * logit(p) + intercept).
        intercept: of the same.
        quality: how good the groups are; None where nobody looked.
        one: float32 (K, K), O, chances that two groups are one, 1 on the diagonal; None where all are surely different.
    """

    sample_ids: tuple[SampleId, ...]
    groups: tuple[SampleId, ...]
    probabilities: NDArray[np.float32]
    components: NDArray[np.int32]
    cannot: NDArray[np.int32]
    slope: float = 1.0
    intercept: float = 0.0
    quality: Quality | None = None
    one: NDArray[np.float32] | None = None

    @cached_property
    def index(self) -> Mapping[SampleId, int]:
        """Sample id to row."""
        return {sample: row for row, sample in enumerate(self.sample_ids)}

    def assignment(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Most probable group of each sample, int64 (N,), and its probability, float32 (N,); no groups give -1 and 0."""
        if not self.groups:
            return np.full(len(self.sample_ids), -1, np.int64), np.zeros(len(self.sample_ids), np.float32)
        best = self.probabilities.argmax(axis=1)
        return best, self.probabilities[np.arange(len(best)), best]

    def raw_probability_same(self, first: Rows, second: Rows) -> NDArray[np.float64]:
        """Uncalibrated P(same) for rows ``first`` and ``second``: see :func:`raw_same`."""
        i, j = np.asarray(first, np.int64), np.asarray(second, np.int64)
        return raw_same(self.probabilities[i], self.probabilities[j], self.one)

    def probability_same(self, first: Rows, second: Rows) -> NDArray[np.float64]:
        """Calibrated P(same), float64 in (0, 1), no surer than checks bear out.

        What answers settle is no exception: people err, and who is asked about it again is asked because it looks wrong.
        """
        i, j = np.asarray(first, np.int64), np.asarray(second, np.int64)
        raw = self.raw_probability_same(i, j)
        logit = np.log(raw) - np.log1p(-raw)
        p = 1.0 / (1.0 + np.exp(-(self.slope * logit + self.intercept)))
        if self.quality is not None:
            surest = max(self.quality.surest, 0.5)
            p = np.clip(p, 1.0 - surest, surest)
        return np.asarray(p)

    def of_question(self, question: Question) -> tuple[float, ...] | None:
        """Calibrated P(same) of each candidate, (K,); None where a sample is not known here."""
        if not all(sample in self.index for sample in question.samples):
            return None
        rows = [self.index[sample] for sample in question.candidates]
        return tuple(self.probability_same([self.index[question.anchor]] * len(rows), rows).tolist())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored as tensors; the rest is :meth:`header`."""
        found = {"probabilities": self.probabilities, "components": self.components, "cannot": self.cannot}
        return found if self.one is None else {**found, "one": self.one}

    def header(self) -> dict[str, Any]:
        """What is stored as JSON, but for the sample ids, which the model version holds."""
        return {
            "groups": list(self.groups),
            "slope": self.slope,
            "intercept": self.intercept,
            "quality": None if self.quality is None else self.quality.to_json(),
        }

    @classmethod
    def load(
        cls, sample_ids: Sequence[SampleId], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Posterior:
        """Inverse of :meth:`header` and :meth:`arrays`.

        Raises:
            ValueError: shapes do not fit together, or the quality is malformed.
        """
        n, k = len(sample_ids), len(header["groups"])
        expected = {"probabilities": (n, k), "components": (n,), "one": (k, k)}
        wrong = {name: some.shape for name, some in arrays.items() if some.shape != expected.get(name, some.shape)}
        if wrong:
            raise ValueError(f"posterior of {wrong} does not fit {n} samples, {k} groups")
        return cls(
            sample_ids=tuple(sample_ids),
            groups=tuple(header["groups"]),
            probabilities=arrays["probabilities"].astype(np.float32, copy=False),
            components=arrays["components"].astype(np.int32, copy=False),
            cannot=arrays["cannot"].astype(np.int32).reshape(-1, 2),
            one=arrays["one"].astype(np.float32, copy=False) if "one" in arrays else None,
            slope=float(header["slope"]),
            intercept=float(header["intercept"]),
            quality=Quality.from_json(header.get("quality")),
        )
