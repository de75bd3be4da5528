"""At which desk a person's time gains most now, in a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pal_backend.core.paying import ALIKE, MEASURED, Comparison, Effort, Outlook, Verdict, compare
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.store.projects import Desk


@dataclass(frozen=True)
class Advice:
    """Which desks pay now."""

    verdict: Verdict
    desks: tuple[str, ...]
    """Names of the desks that pay, or look as if they did; empty where there is no telling."""
    factor: float | None
    """Their gain per second over that of the others."""
    sentence: str


def advise(desks: Sequence[Desk], effort: Effort) -> Advice | None:
    """Which desks pay now; None unless there is a desk of each kind that is not retired."""
    names: dict[QuestionKind, list[str]] = {}
    for desk in desks:
        if not desk.retired:
            names.setdefault(desk.kind, []).append(desk.name)
    if len(names) < len(QuestionKind):
        return None
    found = compare(effort)
    better = () if found.better is None else tuple(names[found.better])
    return Advice(found.verdict, better, found.factor, _sentence(found, names, effort))


def _sentence(found: Comparison, names: dict[QuestionKind, list[str]], effort: Effort) -> str:
    if found.verdict is Verdict.UNSEEN:
        return "it cannot be said yet: the next revision will look at both kinds of desk"
    if found.better is None:
        return "neither: nothing worth asking is left on any desk"
    other = next(kind for kind in QuestionKind if kind is not found.better)
    here, there = _named(names[found.better]), _named(names[other])
    if found.factor is None:
        return f"{here}: nothing worth asking is left on {there}"
    several = len(names[found.better]) > 1
    times = f"{found.factor:.1f} times as much a second as {there}"
    words = {
        Verdict.PAYS: f"{here}: {'they gain' if several else 'it gains'} {times}",
        Verdict.ALIKE: f"alike: a second at {here} gains as much as one at {there}, within {ALIKE - 1:.0%}",
        Verdict.UNTIMED: f"it cannot be said yet: {_few(names, effort)}; by the seconds assumed so far {here} would gain {times}",
        Verdict.UNCERTAIN: f"it cannot be said yet: the seconds vary too much; {here} {'look as if they' if several else 'looks as if it'} gained {times}",
    }
    return f"{words[found.verdict]} ({_basis(found.better, effort)}; {_basis(other, effort)})"


def _named(desks: Sequence[str]) -> str:
    return " and ".join(desks)


def _basis(kind: QuestionKind, effort: Effort) -> str:
    outlook = effort.outlooks[kind]
    measured = f"by {_timed(outlook)}" if outlook.timed else "assumed"
    return f"a {kind} takes {outlook.seconds:.1f} s, {measured}"


def _timed(outlook: Outlook) -> str:
    return f"{outlook.timed} timed answer{'' if outlook.timed == 1 else 's'}"


def _few(names: dict[QuestionKind, list[str]], effort: Effort) -> str:
    few = [
        f"{_named(names[kind])} {'have' if len(names[kind]) > 1 else 'has'} {_timed(outlook)}"
        for kind, outlook in effort.outlooks.items()
        if outlook.timed < MEASURED
    ]
    return f"{' and '.join(few)}, and {MEASURED} are needed"
