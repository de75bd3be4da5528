"""What a lead does by hand, from a page or by a command: merge and split groups, settle a pair, ask again, undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from redis.client import Pipeline

from pal_backend import wire
from pal_backend.core.decisions import Act, Decision, Said, merge, part
from pal_backend.core.grouping import Grouping
from pal_backend.core.ties import Ties
from pal_backend.core.vocabulary import HOUSE, Purpose, Question, QuestionKind, SampleId, Verdict
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.queues import Queues
from pal_backend.store.stores import Stores

MOST_SAMPLES = 500
"""Samples that one act takes out of a group."""


@dataclass(frozen=True)
class Deciding:
    """Works with one installation; ``clock`` gives seconds since 1970. Every method wakes whoever learns."""

    stores: Stores
    queues: Queues
    clock: Callable[[], float]

    def merge(self, name: str, groups: Sequence[SampleId]) -> Decision:
        """Groups are one; the oldest keeps its id.

        Args:
            name: the project.
            groups: ids of two or more.

        Raises:
            NotFoundError: there is no such project or group.
            InputError: fewer than two groups.
        """
        grouping, ties = self._known(name)
        wanted = list(dict.fromkeys(groups))
        for group in wanted:
            _must_find(grouping, group)
        if len(wanted) < 2:
            raise InputError("one group alone cannot be merged; expected two or more; choose another one too")
        # groups stand in the order in which they were founded
        wanted.sort(key=lambda group: grouping.numbers[group])
        said = merge(ties, grouping.sample_ids, [grouping.index[group] for group in wanted])
        return self._make(name, Act.MERGE, wanted, said)

    def split(self, name: str, group: SampleId, samples: Sequence[SampleId], *, together: bool) -> Decision:
        """Samples leave a group.

        Args:
            name: the project.
            group: its id.
            samples: in it.
            together: whether they are a group of their own; else where they belong is open.

        Raises:
            NotFoundError: there is no such project, group or sample.
            InputError: no sample, too many, or all of the group.
        """
        grouping, ties = self._known(name)
        _must_find(grouping, group)
        leaving = [_row(grouping, sample) for sample in dict.fromkeys(samples)]
        if not 0 < len(leaving) <= MOST_SAMPLES:
            raise InputError(f"{len(leaving)} samples were named; expected 1 to {MOST_SAMPLES}; tick those that leave")
        # enough of the most typical ones that one of them stays
        typical = [grouping.index[member.sample] for member in grouping.typical(group, count=len(leaving) + 1)]
        members = [grouping.index[group], *typical]
        try:
            said = part(ties, grouping.sample_ids, leaving, members=members, together=together)
        except ValueError:
            raise InputError("all samples of the group were named; expected some to stay; leave one out") from None
        act = Act.SPLIT if together else Act.REMOVE
        return self._make(name, act, [group, *(grouping.sample_ids[row] for row in leaving)], said)

    def settle(self, name: str, first: SampleId, second: SampleId, verdict: Verdict) -> Decision:
        """Two samples are the same, or different, whatever people said of them.

        Raises:
            NotFoundError: there is no such project or sample.
            InputError: a sample with itself, or neither verdict.
        """
        grouping, _ = self._known(name)
        self._two(grouping, first, second)
        if verdict is Verdict.UNSURE:
            raise InputError("a decision is same or different; ask the pair again if it is not clear")
        return self._make(name, Act.SETTLE, [first, second], [Said(first, second, verdict)])

    def ask(self, name: str, first: SampleId, second: SampleId) -> Question:
        """Ask annotators about a pair again, first of all that is open; if it can be, somebody else than before.

        Raises:
            NotFoundError: there is no such project or sample, or no desk to ask at.
            InputError: a sample with itself.
            ConflictError: the pair is being asked already.
        """
        project = self.stores.projects.get(name)
        grouping, _ = self._known(name)
        self._two(grouping, first, second)
        desks = sorted(
            (desk for desk in project.desks if not desk.retired), key=lambda d: d.kind is not QuestionKind.PAIR
        )
        if not desks:
            raise NotFoundError(f"project {name} has no desk to ask at; `pal init` makes one")
        questions = self.stores.questions(name)
        bare = Question(desks[0].kind, second, (first,), Purpose.REVIEW, informativeness=1.0)
        if any(set(bare.pairs) & set(posted.question.pairs) for posted in questions.open()):
            raise ConflictError("this pair stands open in Label Studio already; wait for its answer")
        question = replace(bare, round=questions.rounds(bare))
        meta = wire.TaskMeta(question, name, desks[0].name)
        self.stores.events(name).append(wire.AskedAgain(meta), self.clock(), HOUSE)
        self._wake(name)
        return question

    def undo(self, name: str, number: int) -> Decision:
        """Take a decision back: everything is as it would be without it.

        Raises:
            NotFoundError: there is no such project or decision.
            ConflictError: it was undone before.
        """
        found = self.stores.decisions(self.stores.projects.get(name).name).undo(number, self.clock())
        self._wake(name)
        return found

    def _make(self, name: str, act: Act, about: Sequence[SampleId], said: Sequence[Said]) -> Decision:
        found = self.stores.decisions(name).make(act, about, said, self.clock())
        self._wake(name)
        return found

    def _wake(self, name: str) -> None:
        self.stores.sittings(name).wake(partial(self._enqueue, name))

    def _enqueue(self, name: str, pipe: Pipeline) -> None:
        self.queues.learn(name, pipe)

    def _known(self, name: str) -> tuple[Grouping, Ties]:
        revisions = self.stores.revisions(self.stores.projects.get(name).name)
        number, grouping = revisions.number(), revisions.grouping()
        ties = None if number is None else self.stores.reasons(name).ties(number)
        if grouping is None or ties is None or int(ties.ends.max(initial=0)) >= len(grouping.sample_ids):
            raise NotFoundError(f"project {name} has no groups to decide about yet; wait for the next revision")
        return grouping, ties

    def _two(self, grouping: Grouping, first: SampleId, second: SampleId) -> None:
        if _row(grouping, first) == _row(grouping, second):
            raise InputError(f"{first:.20} was named twice; expected two different samples")


def _must_find(grouping: Grouping, group: SampleId) -> None:
    if group not in grouping.numbers or group not in grouping.index:
        raise NotFoundError(f"there is no group {group:.20}; it may have merged with another; look at all groups")


def _row(grouping: Grouping, sample: SampleId) -> int:
    row = grouping.index.get(sample)
    if row is None:
        raise NotFoundError(f"there is no sample {sample:.20} in the version in use; `pal export` lists them")
    return row
