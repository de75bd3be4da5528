"""The tables of samples against groups say what the graph says, pair by pair."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.asking.relations import Relations, pair_keys, pairs_with
from pal_backend.core.vocabulary import Question, QuestionKind
from tests.core.asking import drawn
from tests.core.asking.drawn import IDS, ROWS, SPACE, questions, spoken, state_of
from tests.core.worlds import said


@given(drawn.answers, drawn.waiting)
@settings(max_examples=60, deadline=None)
def test_askable_matches_the_graph_property(answers: list[tuple[int, int, str]], waiting: list[list[int]]) -> None:
    """Of all pairs of rows, those may be asked that answers do not settle and no open question holds."""
    state = state_of(spoken(answers), questions(waiting))
    left, right = (side.reshape(-1) for side in np.indices((ROWS, ROWS)))
    expected = [
        a != b and not state.graph.settled(IDS[a], IDS[b]) and state.pair(a, b) not in state.open_pairs
        for a, b in zip(left.tolist(), right.tolist(), strict=True)
    ]
    assert Relations(state).askable(left, right).tolist() == expected


@given(drawn.answers, drawn.waiting)
@settings(max_examples=60, deadline=None)
def test_tables_match_the_graph_property(answers: list[tuple[int, int, str]], waiting: list[list[int]]) -> None:
    """Settled, asked, compared, joined and stands agree with what a walk over samples and groups finds."""
    state = state_of(spoken(answers), questions(waiting))
    found = Relations(state)
    graph, groups = state.graph, state.beliefs.groups
    for row in range(ROWS):
        root = graph.component.get(IDS[row])
        assert found.joined[row] == (0 if root is None else len(graph.members[root]))
        assert found.stands[row] == (root is None or root == IDS[row])
        assert found.waiting[row] == (row in state.open_rows)
        in_answers = any(IDS[row] in pair for pair in (*graph.edges, *state.open_pairs))
        assert found.seen[row] == (in_answers or row in state.open_rows)
    if not groups:
        return
    met: Counter[tuple[int, int]] = Counter()
    for pair, edge in graph.edges.items():
        for sample, other in (pair, pair[::-1]):
            if graph.component.get(other) in groups:
                met[SPACE.index[sample], groups.index(graph.component[other])] += len(edge.annotations)
    for row in range(ROWS):
        for group, root in enumerate(groups):
            assert found.settled[row, group] == graph.settled(IDS[row], root)
            assert found.asked[row, group] == met[row, group]
    assert found.likely.shape == found.settled.shape == found.asked.shape == (ROWS, len(groups))
    assert (found.compared >= (found.asked > 0).sum(axis=0)).all()


@given(drawn.answers, drawn.waiting, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_partners_property(answers: list[tuple[int, int, str]], waiting: list[list[int]], seed: int) -> None:
    """A partner is the member, met least often, of the most liked group that may still be asked about; else there is none."""
    state = state_of(spoken(answers), questions(waiting))
    found = Relations(state)
    rows = np.arange(ROWS)
    liking = np.random.default_rng(seed).random(found.settled.shape)
    partners, groups = found.partners(rows, liking)
    for row in rows.tolist():
        possible = {
            group: [int(m) for m in members if m >= 0 and found.askable(np.asarray(row), np.asarray(m))]
            for group, members in enumerate(found.representatives)
            if not found.settled[row, group]
        }
        best = max((group for group in possible if possible[group]), key=lambda g: liking[row, g], default=-1)
        assert groups[row] == best
        expected = min(possible[best], key=lambda m: state.times_asked(row, m)) if best >= 0 else -1
        assert partners[row] == expected


def test_before_any_group_the_most_typical_sample_stands_for_the_first() -> None:
    """Without answers the medoid of the largest cluster is everybody's partner; after an "unsure" about it, another."""
    found = Relations(state_of([], []))
    [first] = found.representatives[:, 0].tolist()
    rows, sizes = SPACE.medoids
    assert sizes[rows.tolist().index(first)] == sizes.max()
    assert found.partners(np.arange(ROWS), found.likely)[0].tolist() == [
        first if row != first else -1 for row in range(ROWS)
    ]
    other = int(rows[rows != first][0])
    unsure = [said(n, IDS[first], IDS[row], "unsure") for n, row in enumerate(set(range(ROWS)) - {first, other})]
    assert Relations(state_of(unsure, [])).representatives[0, 0] != first


def test_groups_without_a_member_here_are_never_asked_about() -> None:
    """Samples of an older pool may hold a group together; who has no member in the space represents nothing."""
    state = state_of([said(1, "gone", "lost", "same")], [])
    assert state.groups == 1
    assert (Relations(state).partners(np.arange(ROWS), Relations(state).likely)[0] >= 0).sum() == ROWS - 1
    state = state_of([said(1, "gone", "lost", "same"), said(2, "gone", IDS[3], "different")], [])
    partners, groups = Relations(state).partners(np.arange(ROWS), np.ones((ROWS, 2)))
    assert set(partners.tolist()) == {3, -1} and set(groups.tolist()) == {state.beliefs.groups.index(IDS[3]), -1}


def test_what_settled_nothing_is_counted() -> None:
    """Two "unsure" about a sample count as two, an answer that placed it as none."""
    answers = [said(1, IDS[0], IDS[1], "same"), said(2, IDS[0], IDS[2], "unsure"), said(3, IDS[1], IDS[2], "unsure")]
    in_vain = Relations(state_of(answers, [])).in_vain
    assert (in_vain[0], in_vain[1], in_vain[2], in_vain[3]) == (0, 0, 2, 0)


def test_pairs_have_one_key_each() -> None:
    """The key does not know left from right, and no two pairs share one."""
    left, right = np.triu_indices(30, 1)
    keys = pair_keys(left, right, 30)
    assert (keys == pair_keys(right, left, 30)).all() and len(set(keys.tolist())) == len(left)


def test_only_pairs_with_a_partner_become_candidates() -> None:
    """A row whose partner is -1 is left out."""
    made = pairs_with(np.asarray([4, 5, 6]), np.asarray([1, -1, 2]), np.asarray([0.1, 0.2, 0.3]))
    assert (made.left.tolist(), made.right.tolist(), made.scores.tolist()) == ([4, 6], [1, 2], [0.1, 0.3])


def test_open_questions_about_unknown_samples_are_ignored() -> None:
    """A question of an older version about samples that are not here marks nothing."""
    state = state_of([], [Question(QuestionKind.PAIR, "gone", ("lost",))])
    assert not Relations(state).seen.any()
