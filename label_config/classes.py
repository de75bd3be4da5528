"""A classification project: its config made and read, and the result that puts an item into a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from label_config.parse import parsed

CONTROL, OBJECT, KEY = "group", "image", "image"
SINGLE = ("", "single", "single-radio")


@dataclass(frozen=True)
class Classes:
    """The one control of a config that puts an image into one of its classes."""

    control: str
    to_name: str
    key: str
    """Field of the task's data that holds the image."""
    labels: tuple[str, ...]
    """As Label Studio stores them, in the config's order."""

    def result(self, label: str, score: float) -> list[dict[str, Any]]:
        """The result of a prediction."""
        value = {"choices": [label]}
        return [{"from_name": self.control, "to_name": self.to_name, "type": "choices", "value": value, "score": score}]


def classes_config(labels: Sequence[str]) -> str:
    """XML of a project that puts images into these classes."""
    choices = "".join(f"\n    <Choice value={quoteattr(label)}/>" for label in labels)
    return (
        f'<View>\n  <Image name="{OBJECT}" value="${KEY}" maxWidth="600px"/>\n'
        f'  <Choices name="{CONTROL}" toName="{OBJECT}" choice="single" showInline="true">{choices}\n  </Choices>\n</View>\n'
    )


def read_classes(xml: str) -> Classes:
    """The control of a config that puts an image into one of its classes.

    Raises:
        ValueError: there is none, or more than one; the message says what was found.
    """
    root = parsed(xml)
    images = {tag.get("name", ""): tag.get("value", "") for tag in root.iter("Image")}
    found = [tag for tag in root.iter("Choices") if _is_single(tag, images)]
    if len(found) != 1:
        several = ", ".join(tag.get("name", "") or "one without name" for tag in found)
        others = ", ".join(f"<{tag.tag} name={tag.get('name', '')!r}>" for tag in root.iter() if tag.get("toName"))
        raise ValueError(
            f"it has several: {several}"
            if found
            else f"it has {others[:300] or 'no control at all'}, none of which is one"
        )
    [control] = found
    labels = dict.fromkeys(choice.get("alias") or choice.get("value") or "" for choice in control.iter("Choice"))
    to_name = control.get("toName", "")
    return Classes(control.get("name", ""), to_name, images[to_name].removeprefix("$"), tuple(labels))


def with_labels(xml: str, labels: Sequence[str]) -> str:
    """A config of :func:`classes_config` with more classes; none is taken away, since annotations may have it."""
    known = read_classes(xml).labels
    return classes_config([*known, *(label for label in dict.fromkeys(labels) if label not in known)])


def _is_single(tag: ET.Element, images: dict[str, str]) -> bool:
    """Whether a ``<Choices>`` asks for one of fixed classes of a whole image."""
    of_regions = any(tag.get(name, "").lower() == "true" for name in ("perRegion", "perItem"))
    single = tag.get("choice", "") in SINGLE and not tag.get("value") and not of_regions
    return single and images.get(tag.get("toName", ""), "").startswith("$")
