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


@dataclass(frozen=True, eq=False)
class Particulars:
    """What answers say of L answered samples beyond F: see :mod:`pal_backend.core.particulars`.

    Args:
        rows: int32 (L,), which ones.
        akin: float32 (L, K), M, chances that each is of the class of each group.
        sides: int8 (L, C), for C places where a group may be two classes: 1 on the smaller side, -1 on the larger, 0 on neither.
        two: float32 (C,), chances that the sides are two classes.
    """

    rows: NDArray[np.int32]
    akin: NDArray[np.float32]
    sides: NDArray[np.int8]
    two: NDArray[np.float32]


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
        particulars: what answers say of single samples; None where only groups count.
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
    particulars: Particulars | None = None

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
        """Uncalibrated P(same) of n pairs, float64 (n,), clipped to [.005, .995].

        ``min(M_i . F_j, F_i . M_j)``, where M is F O but for answered samples. Of two on different sides of a group that may
        be two classes, this and ``1 - P(two)`` are two opinions, each too sure of itself: their mean in log-odds counts (the
        logarithmic opinion pool, Genest and Zidek 1986).
        """
        i, j = np.asarray(first, np.int64), np.asarray(second, np.int64)
        f = self.probabilities
        ways = [np.einsum("nk,nk->n", self._akin(a), f[b], dtype=np.float64) for a, b in ((i, j), (j, i))]
        p = np.clip(np.minimum(*ways), 1.0 - SURE, SURE)
        two = self._two(i, j)
        across = two > 0.0
        pooled = (_logit(p[across]) + _logit(np.clip(1.0 - two[across], 1.0 - SURE, SURE))) / 2.0
        p[across] = _sigmoid(pooled)
        return np.asarray(p)

    def _akin(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """M of n rows, float32 (n, K)."""
        found = self.probabilities[rows] if self.one is None else self.probabilities[rows] @ self.one
        if self.particulars is not None:
            place = self._place[rows]
            found[place >= 0] = self.particulars.akin[place[place >= 0]]
        return found

    def _two(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        """Chances that the group of n pairs is two classes and they are on different sides, (n,), 0 where nothing says so."""
        found = np.zeros(len(first))
        if self.particulars is None or not len(self.particulars.two):
            return found
        a, b = self._place[first], self._place[second]
        both = (a >= 0) & (b >= 0)
        apart = self.particulars.sides[a[both]] * self.particulars.sides[b[both]] < 0
        found[both] = (apart * self.particulars.two).max(axis=1)
        return found

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        """Where each row stands among the particulars, int64 (N,), -1 for nowhere."""
        place = np.full(len(self.sample_ids), -1, np.int64)
        if self.particulars is not None:
            place[self.particulars.rows] = np.arange(len(self.particulars.rows))
        return place

    def probability_same(self, first: Rows, second: Rows) -> NDArray[np.float64]:
        """Calibrated P(same), float64 in (0, 1), no surer than checks bear out.

        What answers settle is no exception: people err, and who is asked about it again is asked because it looks wrong.
        """
        i, j = np.asarray(first, np.int64), np.asarray(second, np.int64)
        logit = _logit(self.raw_probability_same(i, j))
        p = _sigmoid(self.slope * logit + self.intercept)
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
        if self.one is not None:
            found["one"] = self.one
        return found if self.particulars is None else {**found, **vars(self.particulars)}

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
        known, seams = (arrays["sides"] if "sides" in arrays else np.zeros((0, 0), np.int8)).shape
        expected = {
            "probabilities": (n, k),
            "components": (n,),
            "one": (k, k),
            "rows": (known,),
            "akin": (known, k),
            "two": (seams,),
        }
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
            particulars=_particulars(arrays, n) if "sides" in arrays else None,
            slope=float(header["slope"]),
            intercept=float(header["intercept"]),
            quality=Quality.from_json(header.get("quality")),
        )


def _particulars(arrays: Mapping[str, NDArray[Any]], samples: int) -> Particulars:
    rows = arrays["rows"].astype(np.int32, copy=False)
    if len(rows) and not 0 <= rows.min() <= rows.max() < samples:
        raise ValueError(f"particulars of rows {rows.min()} to {rows.max()}; there are {samples} samples")
    akin, two = (arrays[name].astype(np.float32, copy=False) for name in ("akin", "two"))
    return Particulars(rows, akin, arrays["sides"].astype(np.int8, copy=False), two)


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(p) - np.log1p(-p))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))
