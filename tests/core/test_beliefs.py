from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.beliefs import believe
from pal_backend.core.founding import founded, spoken_for
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.vocabulary import Answer
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=30)
IDS = SPACE.sample_ids


def beliefs_of(answers: list[Answer]):
    """Beliefs after some answers."""
    graph = SimilarityGraph.of(answers)
    return believe(SPACE, graph, Answered(SPACE.walk))


def test_founders_name_groups() -> None:
    """A group is named by the sample answered on first, and the third needs two others against it."""
    answers = [said(1, "a", "b", "same"), said(2, "a", "c", "different"), said(3, "c", "d", "different")]
    assert founded(SimilarityGraph.of(answers)) == ("a", "c")
    assert founded(SimilarityGraph.of([*answers, said(4, "a", "d", "different")])) == ("a", "c", "d")


def test_a_founder_that_an_older_sample_joins_stays_a_group() -> None:
    """Its component is named after the older one, which few groups older still were compared with: younger ones count too."""
    apart = ["ab", "ae", "be", "ex", "ac", "bc", "bd", "cd", "yc", "yd"]
    answers = [said(n, *pair, "different") for n, pair in enumerate(apart)]
    assert founded(SimilarityGraph.of(answers)) == ("a", "b", "e", "c", "d", "y")
    assert founded(SimilarityGraph.of([*answers, said(20, "x", "y", "same")])) == ("a", "b", "e", "x", "c", "d")


def test_groups_that_bear_each_other_stay_when_the_first_are_set_alone() -> None:
    """No two of them bear all others, one after the other, but all are kept apart from two of each other."""
    apart = ["ab", "ac", "bc", "de", "af", "cg", "ch", "ci", "cj", "ck", "hl", "ce", "dg", "ef", "ek", "fg", "fh", "gi"]
    graph = SimilarityGraph.of([said(n, *pair, "different") for n, pair in enumerate(apart)])
    assert founded(graph) == ("a", "b", "c", "d", "e", "f", "g", "h", "i", "k")


def test_groups_found_to_be_one_keep_the_older_name() -> None:
    """After enough "same" between two groups the younger name is gone."""
    answers = [said(1, "a", "c", "different"), said(2, "a", "c", "same"), said(3, "a", "c", "same")]
    assert founded(SimilarityGraph.of(answers)) == ("a",)


def test_rows_sum_to_one_and_neighbours_follow() -> None:
    """Beliefs are probabilities, and a cluster with an answer believes in its group."""
    beliefs = beliefs_of(
        [said(1, IDS[0], IDS[1], "same"), said(2, IDS[0], IDS[30], "different"), said(3, IDS[30], IDS[31], "same")]
    )
    assert beliefs.probabilities.sum(axis=1) == pytest.approx(np.ones(90))
    best = beliefs.probabilities[:, :-1].argmax(axis=1)
    assert (best[:30] == best[0]).mean() > 0.9 and (best[30:60] == best[30]).mean() > 0.9
    assert best[0] != best[30]


def test_an_unlikely_answer_leaves_doubt() -> None:
    """A sample in the midst of one group, said to be in another, is believed neither for sure."""
    answers = [said(n, IDS[0], IDS[n], "same") for n in range(1, 8)]
    answers += [said(10 + n, IDS[30], IDS[30 + n], "same") for n in range(1, 8)]
    answers += [said(30, IDS[0], IDS[30], "different"), said(31, IDS[30], IDS[12], "same")]
    beliefs = beliefs_of(answers)
    group = int(beliefs.placed[12])
    assert group == int(beliefs.placed[30])
    usual = float(np.mean([beliefs.probabilities[30 + n, group] for n in range(1, 8)]))
    assert beliefs.probabilities[12, group] < usual - 0.02


def test_more_answers_about_a_group_do_not_make_it_larger() -> None:
    """Two classes of sixty that touch, twelve members of the one answered and three of the other."""
    space, _ = clusters(groups=2, each=60, spread=0.8)
    ids = space.sample_ids
    answers = [said(0, ids[0], ids[60], "different")]
    answers += [said(n, ids[0], ids[n], "same") for n in range(1, 12)]
    answers += [said(20 + n, ids[60], ids[60 + n], "same") for n in range(1, 3)]
    beliefs = believe(space, SimilarityGraph.of(answers), Answered(space.walk))
    many, few = (beliefs.groups.index(ids[row]) for row in (0, 60))
    as_spread = np.bincount(beliefs.field.argmax(axis=1), minlength=2)
    believed = np.bincount(beliefs.probabilities[:, :-1].argmax(axis=1), minlength=2)
    assert as_spread[many] - believed[many] > 5 and believed[few] <= 60  # nearer to the truth, and not beyond it


def test_one_sample_is_no_group_where_only_levels_speak_for_it() -> None:
    """Believed of another, but for being raised by levels, less than another group is."""
    beliefs = np.asarray(
        [[0.9, 0.05, 0.05, 0.0], [0.1, 0.8, 0.1, 0.0], [0.2, 0.2, 0.6, 0.0]] + 5 * [[0.0] * 4], np.float32
    )
    group, answered = np.asarray([0, 0, 1, 1, 2]), np.asarray([3, 4, 5, 6, 7])
    for raised, kept in ((2.9, True), (3.1, False)):
        assert spoken_for(beliefs, np.asarray([1.0, 1.0, raised]), answered, group).tolist() == [True, True, kept]


def test_no_answers_no_groups() -> None:
    """Before any answer everything is "none of them"."""
    beliefs = beliefs_of([])
    assert beliefs.groups == ()
    assert beliefs.probabilities == pytest.approx(np.ones((90, 1)))


def test_a_sample_set_alone_again_bears_no_groups() -> None:
    """The oldest sample of all has no group any longer and is known to differ from one; the others stand without it."""
    answers = [said(1, "x", "b1", "different")]
    answers += [said(2, "b1", "b2", "same"), said(3, "c1", "c2", "same"), said(4, "d1", "d2", "same")]
    answers += [said(5, "b1", "c1", "different"), said(6, "c1", "d1", "different"), said(7, "b1", "d1", "different")]
    assert founded(SimilarityGraph.of(answers)) == ("b1", "c1", "d1")


def test_two_groups_may_be_one_as_far_as_they_touch_and_answers_say() -> None:
    """Two founders in one cluster more than two in different ones, and each "different" lowers it."""
    answers = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[15], "different")]
    answers += [said(3, IDS[30], IDS[15], "different"), said(4, IDS[0], IDS[1], "same")]
    again = [*answers, said(5, IDS[1], IDS[15], "different")]
    before, after = (beliefs_of(some).one for some in (answers, again))
    home, away, twin = (beliefs_of(answers).groups.index(IDS[n]) for n in (0, 30, 15))
    assert before[twin, home] > before[away, home] and after[twin, home] < before[twin, home]
    assert (before == before.T).all() and (before.diagonal() == 1.0).all()


def test_two_answers_place_a_sample_far_from_its_group() -> None:
    """Though features put it in another cluster, where nobody answered: nobody is asked to say it over and over."""
    known = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[1], "same"), said(3, IDS[30], IDS[31], "same")]
    far = [said(10 + n, IDS[60], IDS[n], "same") for n in range(3)]
    once, twice, thrice = (beliefs_of([*known, *far[:n]]).probabilities[60, 0] for n in (1, 2, 3))
    assert once < 0.3 < twice < 0.8 < thrice
