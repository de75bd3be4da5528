"""How likely two groups are one, by hand and in the situation it is made for."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.beliefs import Beliefs, believe
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.merging import places, said, told
from pal_backend.core.vocabulary import Answer, Origin, Purpose
from tests.core.worlds import clusters
from tests.core.worlds import said as told_by

SPACE, LABELS = clusters(groups=3, each=30, spread=0.1)
IDS = SPACE.sample_ids


def test_evidence_is_the_ratio_of_what_one_and_two_groups_foretell() -> None:
    """Sample by sample, group by group, from the definition."""
    rng = np.random.default_rng(0)
    own, evidence = rng.dirichlet(np.ones(4), 5), rng.normal(0.0, 3.0, (5, 3))
    evidence[2] = 0.0
    expected = np.zeros((3, 3))
    for b, said_here in zip(own, evidence, strict=True):
        two = b[3] + sum(b[m] * np.exp(said_here[m]) for m in range(3))
        for k, other in ((0, 1), (0, 2), (1, 2)):
            [third] = {0, 1, 2} - {k, other}
            one = b[3] + b[third] * np.exp(said_here[third])
            one += (b[k] + b[other]) * np.exp(said_here[k] + said_here[other])
            expected[[k, other], [other, k]] += np.log(one / two)
    assert told(own, evidence) == pytest.approx(expected)
    assert told(own[:0], evidence[:0]).tolist() == [[0.0] * 3] * 3


def test_an_answer_counts_at_the_sample_whose_place_is_less_sure() -> None:
    """Once, whichever end is named first; not where the other end is in no group."""
    own = np.asarray([[0.9, 0.05, 0.05], [0.4, 0.4, 0.2], [0.1, 0.8, 0.1]])
    edges = (np.asarray([0, 1, 1]), np.asarray([1, 2, 0]), np.asarray([2.0, -3.0, 0.5]))
    assert places(own, edges[0], edges[1]).tolist() == [False, True, True]
    assert said(edges, own, np.asarray([0, -1, 1])).tolist() == [[0.0, 0.0], [2.5, -3.0], [0.0, 0.0]]
    assert said(edges, own, np.asarray([-1, 0, -1])).tolist() == [[0.0, 0.0]] * 3


def halves(victims: int, *, founders: str = "", origin: Origin = Origin.PERSON) -> Beliefs:
    """One cluster in two groups: of twenty samples in its midst most were said to be of the first; so many others, wrongly, to
    differ from it, and rightly to be of the second. ``founders`` is what was said of the first of both.
    """
    answers = [told_by(1, IDS[0], IDS[30], "different"), told_by(2, IDS[0], IDS[60], "different")]
    answers += [told_by(3, IDS[30], IDS[60], "different"), told_by(4, IDS[15], IDS[30], "different")]
    answers += [told_by(5, IDS[15], IDS[60], "different"), told_by(6, IDS[0], IDS[15], "different")]
    answers += [told_by(10 + n, IDS[0], IDS[n], "same") for n in range(1, 15)]
    for n in range(16, 16 + victims):
        answers += [told_by(30 + 2 * n, IDS[0], IDS[n], "different"), told_by(31 + 2 * n, IDS[15], IDS[n], "same")]
    if founders:
        answers += [told_by(90, IDS[1], IDS[15], founders)]
    if origin is Origin.DECISION:
        answers += [decision()]
    return believe(SPACE, SimilarityGraph.of(answers), Answered(SPACE.walk))


def decision() -> Answer:
    """A lead splits the two."""
    return Answer(
        **{
            **vars_of(told_by(99, IDS[2], IDS[15], "different")),
            "origin": Origin.DECISION,
            "purpose": Purpose.SPLIT,
        }
    )


def vars_of(answer: Answer) -> dict[str, object]:
    """Fields of an answer."""
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}
