"""Classification configs: ours, and those of teams."""

from __future__ import annotations

import pytest

from label_config.classes import Classes, classes_config, read_classes, with_labels

LABELS = ("cats & dogs", 'a "quote"', "<b>", "group 3")


def test_a_config_reads_as_it_was_made() -> None:
    """Whatever stands in a name; more classes are added behind, none goes."""
    config = classes_config(LABELS)
    assert read_classes(config) == Classes("group", "image", "image", LABELS)
    assert read_classes(with_labels(config, ["new", "group 3", "new"])).labels == (*LABELS, "new")


def test_a_result_names_control_and_object() -> None:
    """As Label Studio takes predictions."""
    [row] = Classes("c", "i", "photo", ("a",)).result("a", 0.7)
    expected = {"from_name": "c", "to_name": "i", "type": "choices", "value": {"choices": ["a"]}, "score": 0.7}
    assert row == expected


IMAGE = '<Image name="i" value="$photo"/>'
CHOICE = '<Choice value="Cat" alias="cat"/><Choice value="dog"/>'


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (IMAGE, "no control at all"),
        (f'{IMAGE}<Choices name="c" toName="i" choice="multiple">{CHOICE}</Choices>', "<Choices name='c'>"),
        (f'{IMAGE}<Choices name="c" toName="i" perRegion="true">{CHOICE}</Choices>', "<Choices name='c'>"),
        (f'{IMAGE}<Choices name="c" toName="i" value="$options"/>', "<Choices name='c'>"),
        (f'{IMAGE}<RectangleLabels name="r" toName="i"/>', "<RectangleLabels name='r'>"),
        (f'<Text name="i" value="$t"/><Choices name="c" toName="i">{CHOICE}</Choices>', "<Choices name='c'>"),
        (
            f'{IMAGE}<Choices name="c" toName="i">{CHOICE}</Choices><Choices name="d" toName="i">{CHOICE}</Choices>',
            "several: c, d",
        ),
    ],
)
def test_what_has_no_one_place_for_a_class_is_told(inside: str, words: str) -> None:
    """The message names what was found instead."""
    with pytest.raises(ValueError, match="it has") as problem:
        read_classes(f"<View>{inside}</View>")
    assert words in str(problem.value)


def test_of_several_controls_the_one_that_fits_counts() -> None:
    """Boxes and notes may stand beside it; an alias is what Label Studio stores."""
    beside = '<RectangleLabels name="r" toName="i"/><Choices name="d" toName="i" choice="multiple"/>'
    config = f'<View>{IMAGE}{beside}<Choices name="c" toName="i" choice="single-radio">{CHOICE}</Choices></View>'
    assert read_classes(config) == Classes("c", "i", "photo", ("cat", "dog"))
