"""What leads decide by hand: groups that are one, groups that are two, pairs that are settled; and taking it back."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.contradictions import contradictions
from pal_backend.core.decisions import Act, Decision, Said, merge, part
from pal_backend.core.extending import extended as extend
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learner import Learner
from pal_backend.core.ties import Ties
from pal_backend.core.vocabulary import Annotation, Answer, Origin, Pair, SampleId, Verdict
from tests.core.test_extended import drawn, says, spoken
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=4, each=15)
IDS = SPACE.sample_ids


def rows(label: int) -> list[int]:
    """Rows of a class."""
    return np.flatnonzero(label == LABELS).tolist()


def answered(each: int = 5) -> list[Answer]:
    """Right answers on the first samples of each class: "same" as its first one, and firsts "different" from each other."""
    pairs = [(rows(k)[0], rows(other)[0]) for k in range(4) for other in range(k)]
    pairs += [(row, rows(k)[0]) for k in range(4) for row in rows(k)[1:each]]
    return [
        said(n, IDS[a], IDS[b], "same" if LABELS[a] == LABELS[b] else "different", updated_at=n + 1)
        for n, (a, b) in enumerate(pairs)
    ]


def learned(answers: Iterable[Answer], *decisions: Annotation) -> Learner:
    """A learner that was given these."""
    learner = Learner(SPACE)
    learner.set_answers([*answers, *(answer for decision in decisions for answer in decision.answers)])
    return learner


def ties_of(learner: Learner) -> Ties:
    """What a page knows of its graph."""
    return Ties.load(Ties.of(learner.graph, SPACE.index).arrays())


def decided(act: Act, what: Iterable[Said], at: int = 10_000) -> Annotation:
    """A decision as answers, later than all others."""
    return Decision(at, act, (), tuple(what)).annotation()


def group_of(learner: Learner, row: int) -> SampleId:
    """The group that a row is in."""
    return learner.posterior().groups[int(learner.posterior().assignment()[0][row])]


def merged(learner: Learner, *labels: int, at: int = 10_000) -> Annotation:
    """The decision that classes are one."""
    return decided(Act.MERGE, merge(ties_of(learner), IDS, [rows(k)[0] for k in labels]), at)


def parted(learner: Learner, leaving: list[int], label: int, act: Act = Act.SPLIT) -> Annotation:
    """The decision that samples leave a class."""
    what = part(ties_of(learner), IDS, leaving, members=rows(label), together=act is Act.SPLIT)
    return decided(act, what)


def test_two_groups_become_one_whatever_annotators_said() -> None:
    """Also where several people called pairs of them different; the older founder stays, and nothing is left to dispute."""
    a, b = rows(0), rows(1)
    answers = answered() + [
        said(90 + n, IDS[a[n]], IDS[b[n]], "different", "bob", updated_at=90 + n) for n in range(1, 4)
    ]
    before = learned(answers)
    decision = merged(before, 0, 1)
    after = learned(answers, decision)
    assert len(decision.answers) == 4  # the founders, and each pair called different
    assert len(before.beliefs.groups) == 4 and len(after.beliefs.groups) == 3
    assert {group_of(after, row) for row in a + b} == {IDS[a[0]]}
    assert {group_of(after, row) for row in rows(2)} == {IDS[rows(2)[0]]}
    assert after.contradictions() == []


def test_a_later_answer_against_a_merge_is_shown_and_parts_nobody_else() -> None:
    """The groups stay one; only the sample that one answer now puts in and another out waits for a person."""
    answers = answered()
    decision = merged(learned(answers), 0, 1)
    a, b = IDS[rows(0)[2]], IDS[rows(1)[2]]
    learner = learned([*answers, said(500, a, b, "different", updated_at=20_000)], decision)
    assert len(learner.beliefs.groups) == 3
    together = [IDS[row] for k in (0, 1) for row in rows(k)[:5] if IDS[row] not in (a, b)]
    assert all(learner.graph.joined(together[0], other) for other in together[1:])
    [conflict] = learner.contradictions()
    assert Pair.of(a, b) in conflict.pairs


def test_a_split_stands_through_later_answers_full_fits_and_a_new_version() -> None:
    """Two classes joined by wrong answers: the samples ticked are a group of their own, and what follows them follows."""
    wrong = [said(70 + n, IDS[rows(3)[n]], IDS[rows(2)[n]], "same", "eve", updated_at=70 + n) for n in range(3)]
    people = [a for a in answered() if {a.pair.first, a.pair.second} != {IDS[rows(3)[0]], IDS[rows(2)[0]]}]
    joined = learned([*people, *wrong])
    assert joined.graph.joined(IDS[rows(3)[0]], IDS[rows(2)[0]])
    ticked = rows(3)[:4]  # one that was answered on is left out, most were never answered on
    decision = parted(joined, [*ticked, rows(3)[4], rows(3)[9]], 2)
    learner = learned([*people, *wrong], decision)

    def stands() -> None:
        there = {group_of(learner, row) for row in rows(3)}
        assert len(there) == 1 and there.isdisjoint({group_of(learner, row) for row in rows(2)})
        assert len({group_of(learner, row) for row in rows(2)}) == 1

    stands()
    for n in range(30):
        a, b = rows(n % 4)[5 + n // 4], rows(n % 4)[0]
        learner.update([said(1000 + n, IDS[a], IDS[b], "same", updated_at=20_000 + n)], ())
    stands()
    other, _ = clusters(groups=4, each=15, seed=5)
    learner.move_to(replace(other, sample_ids=IDS))
    stands()


def test_what_stays_is_held_together_though_it_hung_on_what_left() -> None:
    """Samples that answers joined only by way of one that leaves remain one group, also without their founder."""
    learner = learned(answered())
    hub, *others = rows(1)
    decision = parted(learner, [hub], 1, Act.REMOVE)
    after = learned(answered(), decision)
    assert not any(after.graph.joined(IDS[hub], IDS[row]) for row in others[:4])
    assert all(after.graph.joined(IDS[others[0]], IDS[row]) for row in others[1:4])


def test_samples_that_do_not_belong_are_taken_out() -> None:
    """They are believed in that group no longer, alone or with each other; where they belong is open."""
    learner = learned(answered())
    out = [rows(0)[3], rows(0)[8]]
    after = learned(answered(), parted(learner, out, 0, Act.REMOVE))
    column = after.beliefs.groups.index(IDS[rows(0)[0]])
    assert (after.beliefs.probabilities[out, column] < 0.01).all()
    assert not after.graph.joined(*(IDS[row] for row in out))
    assert len(after.beliefs.groups) == 4


def test_somebody_must_stay() -> None:
    """A group of which all samples were named is not parted."""
    with pytest.raises(ValueError, match="all samples"):
        part(ties_of(learned(answered())), IDS, rows(0), members=rows(0), together=True)


@pytest.mark.parametrize("verdict", list(Verdict)[:2])
def test_a_pair_that_people_differ_on_is_settled(verdict: Verdict) -> None:
    """Either way; and a later decision on the pair outweighs the earlier one."""
    a, b = IDS[rows(0)[6]], IDS[rows(0)[0]]
    people = [*answered(), said(200, a, b, "same", updated_at=200), said(201, a, b, "different", "bob", updated_at=201)]
    assert len(learned(people).contradictions()) == 1
    decision = decided(Act.SETTLE, [Said(a, b, verdict)])
    learner = learned(people, decision)
    assert learner.contradictions() == []
    assert (learner.graph.joined(a, b), learner.graph.apart(a, b)) == (verdict == "same", verdict == "different")
    other = Verdict.DIFFERENT if verdict == "same" else Verdict.SAME
    again = learned(people, decision, decided(Act.SETTLE, [Said(a, b, other)], at=10_001))
    assert again.graph.joined(a, b) is (other == "same")


def test_undoing_brings_back_what_was() -> None:
    """Withdrawn, a decision leaves no trace: groups, graph, beliefs and the next questions are those before it."""
    answers = answered()
    learner, untouched = learned(answers), learned(answers)
    decision = merged(learner, 0, 1)
    learner.update(decision.answers, ())
    assert len(learner.beliefs.groups) == 3
    learner.update((), [decision.key])
    assert learner.graph.edges == untouched.graph.edges and learner.graph.component == untouched.graph.component
    assert learner.beliefs.groups == untouched.beliefs.groups
    np.testing.assert_allclose(learner.beliefs.probabilities, untouched.beliefs.probabilities, atol=1e-3)
    assert [q.id for q in learner.ask(5)] == [q.id for q in untouched.ask(5)]


def test_a_decision_comes_in_any_order_and_portion() -> None:
    """One after the other, all at once, or the decision late: the same state."""
    answers = answered()
    decision = merged(learned(answers), 0, 1)
    late = [said(800 + n, IDS[rows(2)[5 + n]], IDS[rows(2)[0]], "same", updated_at=20_000 + n) for n in range(3)]
    whole = learned([*answers, *late], decision)
    steps = Learner(SPACE)
    for some in (answers[:9], answers[9:], decision.answers, late[:1], late[1:]):
        steps.update(some, ())
        steps.ask(1)
    assert (steps.beliefs.probabilities == whole.beliefs.probabilities).all()
    belated = learned([*answers, *late])
    belated.update(decision.answers, ())
    assert belated.beliefs.groups == whole.beliefs.groups
    np.testing.assert_allclose(belated.beliefs.probabilities, whole.beliefs.probabilities, atol=1e-3)


@given(drawn, st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=4), st.randoms())
@settings(max_examples=150, deadline=None)
def test_decisions_never_change_how_often_annotators_err_property(
    rows: list[tuple[int, int, str, str, Origin]], what: list[tuple[int, int, bool]], rng: random.Random
) -> None:
    """Whatever was decided, in whatever order it comes; and each decision holds, but where decisions contradict."""
    people = [replace(answer, updated_at=n) for n, answer in enumerate(spoken(rows))]
    verdicts = {Pair.of("abcdefghi"[a], "abcdefghi"[b]): same for a, b, same in what if a != b}
    found = [Said(*pair, Verdict.SAME if same else Verdict.DIFFERENT) for pair, same in verdicts.items()]
    everything = [*people, *decided(Act.SETTLE, found).answers]
    graph = SimilarityGraph.of(everything)
    assert graph.rates == SimilarityGraph.of(people).rates
    assert graph.established == SimilarityGraph.of(people).established
    rng.shuffle(everything)
    assert says(SimilarityGraph.of(everything)) == says(graph)
    disputed = {pair for conflict in contradictions(graph) for pair in conflict.pairs}
    for pair, same in verdicts.items():
        assert pair in disputed or (graph.joined(*pair) if same else graph.apart(*pair))


@given(drawn, st.integers(0, 8), st.integers(0, 8), st.booleans())
@settings(max_examples=100, deadline=None)
def test_answers_after_a_decision_are_told_at_once_or_not_at_all_property(
    rows: list[tuple[int, int, str, str, Origin]], a: int, b: int, same: bool
) -> None:
    """The graph extended after a decision is that of the whole set under the same error rates."""
    people = [replace(answer, updated_at=10 * n) for n, answer in enumerate(spoken(rows))]
    verdict = Verdict.SAME if same else Verdict.DIFFERENT
    decision = [] if a == b else decided(Act.SETTLE, [Said("abcdefghi"[a], "abcdefghi"[b], verdict)], at=95).answers
    held: list[Answer] = [*people[:10], *decision]
    graph = SimilarityGraph.of(held)
    assert all(extend(graph, answer) is None for answer in decision)
    for answer in people[10:]:
        held.append(answer)
        extended = extend(graph, answer)
        if extended is not None:
            assert says(extended) == says(SimilarityGraph.under(held, graph.rates, graph.established))
        graph = extended or SimilarityGraph.of(held)
