"""All answers on one pair of samples, as an edge of the similarity graph."""

from __future__ import annotations

from typing import NamedTuple

from pal_backend.core.vocabulary import AnnotationKey, Answer, Origin, Pair, Purpose, Verdict

ACCEPTED_GUESS = 0.7
"""An answer that only accepts a guess shown beforehand weighs this much of one given freely."""
DECIDED = 1000.0
"""Log-odds of what a lead decided: more than people's answers on other pairs add up to."""
NOTHING = 1e-9
"""Evidence, and entries of an eigenvector, nearer to 0 have no sign."""
_SIGN = {Verdict.SAME: 1.0, Verdict.DIFFERENT: -1.0, Verdict.UNSURE: 0.0}


class Edge(NamedTuple):
    """All answers on one pair.

    ``weight`` is the log-odds of "same"; ``rank`` the place in time of its first answer that is not "unsure" (of its
    first one, while all are); ``mixed`` tells that people said both "same" and "different"; ``decided`` why a lead decided
    it, None while nobody has.
    """

    weight: float
    rank: int
    annotations: tuple[AnnotationKey, ...]
    mixed: bool = False
    decided: Purpose | None = None


def weigh(answer: Answer, odds: float) -> float:
    """Log-odds of "same" that an answer carries, of a person whose answers are right with these log-odds."""
    if answer.origin is Origin.DECISION:
        return _SIGN[answer.verdict] * DECIDED
    return _SIGN[answer.verdict] * odds * (ACCEPTED_GUESS if answer.origin is Origin.PREDICTION else 1.0)


def add(edges: dict[Pair, Edge], answer: Answer, weight: float, rank: int) -> None:
    """Add a later answer to its pair's edge; a pair that people were only unsure about takes its place anew."""
    old = edges.get(answer.pair)
    decides = answer.origin is Origin.DECISION
    if old is not None and (decides or old.decided) and (old.weight or old.mixed):
        longer = old._replace(annotations=(*old.annotations, answer.annotation))
        edges[answer.pair] = longer._replace(weight=weight, decided=answer.purpose) if decides else longer
    elif old is None or not (old.weight or old.mixed or weight == 0.0):
        held = edges.pop(answer.pair).annotations if old else ()
        edges[answer.pair] = Edge(weight, rank, (*held, answer.annotation), decided=answer.purpose if decides else None)
    else:
        mixed = old.mixed or old.weight * weight < 0.0
        edges[answer.pair] = Edge(old.weight + weight, old.rank, (*old.annotations, answer.annotation), mixed)
