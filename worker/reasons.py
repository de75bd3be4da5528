"""What a sitting publishes beside its beliefs: why samples are where they are, and what a person should look at again."""

from __future__ import annotations

from dataclasses import asdict

from pal_backend.core.graph import Contradiction
from pal_backend.core.learner import Learner
from pal_backend.core.review import doubtful_merges
from pal_backend.core.ties import Ties
from pal_backend.store.reasons import MOST, Conflict, Doubt, Review, files_of


def reasons_of(learner: Learner, contradictions: list[Contradiction]) -> dict[str, bytes]:
    """The files of a revision, by name."""
    space, graph = learner.space, learner.graph
    doubts = doubtful_merges(space, graph, learner.beliefs, learner.seams)
    review = Review(
        tuple(Conflict(found.pairs, found.sentence) for found in contradictions[:MOST]),
        len(contradictions),
        tuple(Doubt(**asdict(doubt)) for doubt in doubts),
    )
    return files_of(Ties.of(graph, space.index), review)
