"""The edges of the similarity graph: what people said of pairs, and the neighbours of the features."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import Pair, Verdict
from pal_backend.errors import NotFoundError
from pal_backend.exports.archive import archive
from pal_backend.exports.snapshot import Made, Snapshot

ANSWERED = ("first", "second", "log_odds_same", *Verdict, "people", "outcome")
NEAR = ("first", "second", "weight")


def as_edges(snapshot: Snapshot) -> Made:
    """A zip of ``answered.csv`` (each answered pair: log-odds of "same", how often each verdict was given, by how many people,
    and whether all answers together join the two, keep them apart, or leave it open) and ``neighbours.csv`` (each prior
    edge between nearest neighbours, once, with its weight in (0, 1]).

    Raises:
        NotFoundError: there is no model version yet.
    """
    if snapshot.version is None:
        raise NotFoundError(f"project {snapshot.project.name} has no model version yet; taking in the pool makes one")
    version = snapshot.stores.versions(snapshot.project.name).load(snapshot.version)
    answered = _answered(snapshot)
    upper = build_space(version.sample_ids, version.features).graph.tocoo()
    once = upper.row < upper.col
    ids = version.sample_ids
    near = [
        (ids[i], ids[j], round(w, 6))
        for i, j, w in zip(upper.row[once].tolist(), upper.col[once].tolist(), upper.data[once].tolist(), strict=True)
    ]
    files = {"answered.csv": _csv(ANSWERED, answered), "neighbours.csv": _csv(NEAR, near)}
    return Made(archive(files), f"{len(answered):,} answered pairs, {len(near):,} neighbours")


def _answered(snapshot: Snapshot) -> list[tuple[Any, ...]]:
    answers = snapshot.answers
    graph = SimilarityGraph.of(answers)
    said: dict[Pair, Counter[Verdict]] = defaultdict(Counter)
    people: dict[Pair, set[str]] = defaultdict(set)
    for answer in answers:
        said[answer.pair][answer.verdict] += 1
        people[answer.pair].add(answer.annotator)
    return [
        (
            *pair,
            round(edge.weight, 4),
            *(said[pair][verdict] for verdict in Verdict),
            len(people[pair]),
            _outcome(graph, pair),
        )
        for pair, edge in graph.edges.items()
    ]


def _outcome(graph: SimilarityGraph, pair: Pair) -> str:
    return "joined" if graph.joined(*pair) else "apart" if graph.apart(*pair) else "open"


def _csv(head: Sequence[str], found: Iterable[tuple[Any, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(found)
    return text.getvalue().encode()
