from pal_backend.core.contradictions import contradictions
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import AnnotationKey, Pair
from tests.core.worlds import said


def test_people_who_differ_are_named_with_both_annotations() -> None:
    """A pair with both verdicts is reported once, whatever the outcome."""
    [found] = contradictions(SimilarityGraph.of([said(1, "a", "b", "same"), said(2, "a", "b", "different", "bob")]))
    assert found.pairs == (Pair("a", "b"),)
    assert found.annotations == (AnnotationKey("desk", 1), AnnotationKey("desk", 2))
    assert found.sentence == "People differ on whether a and b are the same."


def test_agreement_is_silent() -> None:
    """Answers that fit together give no report."""
    assert contradictions(SimilarityGraph.of([said(1, "a", "b", "same"), said(2, "b", "c", "different")])) == []
