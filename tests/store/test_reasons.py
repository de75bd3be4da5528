"""Why samples are where they are, as it is published and read again, a few rows of it at a time."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy
from redis import Redis

from pal_backend.core.decisions import Act, Said
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.ties import DECIDED, JOINED, Ties
from pal_backend.core.vocabulary import AnnotationKey, Pair, Verdict
from pal_backend.errors import InputError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.decisions import Decisions
from pal_backend.store.reasons import Conflict, Doubt, Reasons, Review, files_of
from tests.core.worlds import said

PROJECT = "demo"
REVISION = f"projects/{PROJECT}/revisions/3"
INDEX = {sample: row for row, sample in enumerate("abcdef")}
REVIEW = Review(
    (Conflict((Pair("a", "b"),), "People differ."),),
    7,
    (Doubt("a", 0.25, 1.5, ("a",), ("b", "c"), (Pair("a", "b"),)),),
)


@pytest.fixture(params=["local", "memory"])
def artefacts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    """A folder, and a store of objects."""
    folder = tmp_path_factory.mktemp("artefacts")
    return Artefacts(str(folder) if request.param == "local" else f"memory://{folder}")


def graph() -> SimilarityGraph:
    """A chain of three, one apart, and a pair that is asked about a sample nobody knows."""
    return SimilarityGraph.of([said(1, "a", "b", "same"), said(2, "b", "c", "same"), said(3, "a", "d", "different"),
                               said(4, "a", "z", "same"), said(5, "a", "b", "unsure")])  # fmt: skip


def test_what_was_published_is_read_again(artefacts: Artefacts) -> None:
    """Ties with the answers of each pair, and the review; nothing of a revision that is gone."""
    artefacts.write_folder(REVISION, files_of(Ties.of(graph(), INDEX), REVIEW))
    reasons = Reasons(artefacts, PROJECT)
    ties = reasons.ties(3)
    assert ties is not None and reasons.review(3) == REVIEW
    assert ties.touching(0) == [0, 2] and ties.between(0, 3) == 2 and ties.between(2, 3) is None
    assert ties.annotations(0) == [AnnotationKey("desk", 1), AnnotationKey("desk", 5)]
    assert ties.path(2, 0) == [1, 0] and ties.path(0, 3) is None and ties.path(5, 0) is None
    assert ties.component(0).tolist() == [0, 1, 2] and ties.component(0, without=[1]).tolist() == [0]
    assert ties.has(0, JOINED) and not ties.has(2, JOINED) and not ties.has(0, DECIDED)
    assert reasons.ties(4) is None and reasons.review(4) == Review() and reasons.beliefs(4, 0) is None


def test_single_rows_of_large_arrays_are_read(artefacts: Artefacts) -> None:
    """Beliefs of a sample, and its neighbours, nearest first; published once, and empty before."""
    p = np.arange(12, dtype=np.float32).reshape(4, 3)
    arrays = {"components": np.zeros(4, np.int32), "probabilities": p}
    artefacts.write_folder(REVISION, {"posterior.safetensors": safetensors.numpy.save(arrays)})
    reasons = Reasons(artefacts, PROJECT)
    assert [reasons.beliefs(3, row).tolist() for row in (0, 3)] == [[0, 1, 2], [9, 10, 11]]  # type: ignore[union-attr]
    with pytest.raises(InputError, match="no rows"):
        reasons.beliefs(3, 4)
    assert reasons.neighbours("v0000", 1) == []
    reasons.keep_neighbours("v0000", [0, 0, 2, 3, 3], [0, 2, 1], [0.25, 0.5, 0.5])
    reasons.keep_neighbours("v0000", [0, 0, 0, 0, 0], [], [])
    assert reasons.neighbours("v0000", 1) == [(2, 0.5), (0, 0.25)] and reasons.neighbours("v0000", 3) == []


@pytest.mark.parametrize("data", [b"", b"12345678", b"\xff" * 40, safetensors.numpy.save({"x": np.zeros(1, np.int64)})])
def test_spoilt_files_are_named(artefacts: Artefacts, data: bytes) -> None:
    """Whatever stands in them: a sentence, and never something else."""
    names = ("ties.safetensors", "posterior.safetensors")
    artefacts.write_folder(REVISION, {**dict.fromkeys(names, data), "review.json": data})
    artefacts.write_file(f"projects/{PROJECT}/versions/v0/neighbours.safetensors", data)
    reasons = Reasons(artefacts, PROJECT)
    for read in (reasons.ties, reasons.review, lambda r: reasons.beliefs(r, 0), lambda _: reasons.neighbours("v0", 0)):
        with pytest.raises(InputError, match=r"review\.json|safetensors"):
            read(3)


def test_decisions_have_numbers_of_their_own(artefacts: Artefacts, redis: Redis) -> None:
    """Also two of one moment; they are listed newest first, from the folder where Redis has none."""
    decisions = Decisions(redis, artefacts, PROJECT)
    first = decisions.make(Act.MERGE, "ab", [Said("a", "b", Verdict.SAME)], 5.0)
    second = decisions.make(Act.SETTLE, "cd", [Said("c", "d", Verdict.DIFFERENT)], 5.0)
    assert second.number == first.number + 1
    redis.flushdb()
    assert decisions.get(first.number) == first
    assert decisions.all() == [second, first] == Decisions(redis, artefacts, PROJECT).all()
    artefacts.write_file(f"projects/{PROJECT}/decisions/9.json", b'{"said": [["a", "a", "same"]]}')
    with pytest.raises(InputError, match=r"9\.json"):
        decisions.get(9)
