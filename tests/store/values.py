"""Values and hypothesis strategies for the tests of the stores."""

from __future__ import annotations

from hypothesis import strategies as st

from pal_backend.core.vocabulary import (
    Annotation,
    AnnotationKey,
    Answer,
    Origin,
    Pair,
    Purpose,
    Question,
    QuestionKind,
    Verdict,
)

SAMPLES = tuple(f"{number:016x}" for number in range(8))


def annotation(
    number: int = 1, updated_at: int = 10, verdict: Verdict = Verdict.SAME, desk: str = "pairs"
) -> Annotation:
    """An annotation with one answer."""
    key = AnnotationKey(desk, number)
    answer = Answer(key, Pair(SAMPLES[0], SAMPLES[1]), verdict, "7", updated_at, Origin.MANUAL, 0.25)
    return Annotation(key, 3, "0" * 16, "7", updated_at, (answer,))


def pair_question(first: int = 0, second: int = 1, **fields: object) -> Question:
    """A question about two samples."""
    return Question(QuestionKind.PAIR, SAMPLES[first], (SAMPLES[second],), **fields)  # type: ignore[arg-type]


times = st.integers(0, 2**53 - 1)
words = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
keys = st.builds(AnnotationKey, st.sampled_from(["pairs", "screens"]), st.integers(1, 3))


@st.composite
def annotations(draw: st.DrawFn, updated: st.SearchStrategy[int] = times) -> Annotation:
    """Any annotation, with a few keys so that they meet."""
    key, annotator, updated_at = draw(keys), draw(words), draw(updated)
    pairs = draw(st.lists(st.sets(st.sampled_from(SAMPLES), min_size=2, max_size=2), max_size=3))
    answers = tuple(
        Answer(
            key,
            Pair.of(*pair),
            draw(st.sampled_from(Verdict)),
            annotator,
            updated_at,
            draw(st.sampled_from(Origin)),
            draw(st.none() | numbers),
            draw(st.sampled_from(Purpose)),
            draw(st.sampled_from(["", *pair])),
        )
        for pair in pairs
    )
    return Annotation(
        key=key,
        task=draw(st.integers(0, 2**53 - 1)),
        question=draw(st.sampled_from(SAMPLES)),
        annotator=annotator,
        updated_at=updated_at,
        answers=answers,
        skipped=draw(st.booleans()),
        seconds=draw(st.none() | numbers),
        note=draw(words),
    )


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Any question, well-formed."""
    kind = draw(st.sampled_from(QuestionKind))
    size = 1 if kind is QuestionKind.PAIR else draw(st.integers(1, 6))
    samples = draw(st.permutations(SAMPLES))
    return Question(
        kind=kind,
        anchor=samples[0],
        candidates=tuple(samples[1 : 1 + size]),
        purpose=draw(st.sampled_from(Purpose)),
        probabilities=tuple(draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))),
        informativeness=draw(st.floats(0, 1)),
        round=draw(st.integers(0, 5)),
        gain=draw(st.floats(0, 1e6)),
        checks=tuple(draw(st.lists(st.sampled_from(samples[1 : 1 + size]), unique=True))),
    )
