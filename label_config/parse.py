"""What a labelling config can store: its Choices controls, their labels, and which kind of question it asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from label_config.results import (
    CANDIDATES_CONTROL,
    CANNOT_TELL,
    NONE_OF_THESE,
    PAIR_CONTROL,
    PAIR_LABELS,
    PAIR_OBJECT,
    PAIR_OTHER,
    SCREEN_OBJECT,
    VERDICT_CONTROL,
)

MAX_CHARACTERS = 500_000
OBJECTS = {"image": "Image", "text": "Text"}
"""Tags by which samples are shown."""
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")


@dataclass(frozen=True)
class Control:
    """A ``<Choices>`` tag: what it is about, and the values it can store (None: they come from the task)."""

    to_name: str
    multiple: bool
    labels: frozenset[str] | None


@dataclass(frozen=True)
class ConfigShape:
    """The Choices controls of a config by name; ``kind`` is "pair", "screen" or None when it is neither of ours.

    ``objects`` are the tags of what is shown, by name.
    """

    kind: str | None
    controls: Mapping[str, Control]
    objects: Mapping[str, str] = field(default_factory=dict)

    def fits(self, result: Sequence[Mapping[str, Any]]) -> bool:
        """Whether every row of a result of ours names a control, an object and labels that this config has."""
        return all(self._fits_row(row) for row in result)

    def _fits_row(self, row: Mapping[str, Any]) -> bool:
        control = self.controls.get(row["from_name"])
        if control is None or control.to_name != row["to_name"]:
            return False
        return control.labels is None or control.labels.issuperset(row["value"]["choices"])


def read_config(xml: str) -> ConfigShape:
    """Read a labelling config.

    Raises:
        ValueError: it is not XML, is too long, or declares a document type or an entity.
    """
    root = parsed(xml)
    controls = {tag.get("name", ""): _control(tag) for tag in root.iter("Choices")}
    objects = {tag.get("name", ""): tag.tag for tag in root.iter() if tag.tag in OBJECTS.values()}
    shape = ConfigShape(None, controls, objects)
    kinds = [kind for kind in ("pair", "screen") if not _problems(shape, kind)]
    return ConfigShape(kinds[0] if len(kinds) == 1 else None, controls, objects)


def parsed(xml: str) -> ET.Element:
    """The root of a labelling config.

    Raises:
        ValueError: it is not XML, is too long, or declares a document type or an entity.
    """
    if len(xml) > MAX_CHARACTERS:
        raise ValueError(f"the labelling config has {len(xml)} characters, at most {MAX_CHARACTERS} are read")
    if _DECLARATION.search(xml):
        raise ValueError("the labelling config declares a document type or an entity; Label Studio needs none")
    try:
        return ET.fromstring(xml)  # noqa: S314  declarations, the way in for entity bombs, were refused above
    except (ET.ParseError, ValueError) as problem:
        raise ValueError(f"the labelling config is not XML: {problem}") from None


def object_fields(xml: str, tag: str) -> list[str]:
    """The fields of a task's data that a config shows with the object tag ``tag``, in order, each once.

    Raises:
        ValueError: as :func:`read_config`.
    """
    values = [one.get("value") or "" for one in parsed(xml).iter(tag)]
    return list(dict.fromkeys(value[1:] for value in values if value.startswith("$") and len(value) > 1))


def check(xml: str, kind: str, medium: str = "image") -> list[str]:
    """What keeps a config from serving questions of ``kind`` ("pair" or "screen") about samples of ``medium`` ("image" or
    "text"), in words; empty if nothing does.
    """
    try:
        shape = read_config(xml)
        return [*_problems(shape, kind), *_object_problems(shape, kind, OBJECTS[medium])]
    except ValueError as problem:
        return [str(problem)]


def _control(tag: ET.Element) -> Control:
    dynamic = (tag.get("value") or "").startswith("$")
    # With an alias Label Studio stores the alias and not the visible value.
    labels = frozenset(choice.get("alias") or choice.get("value") or "" for choice in tag.iter("Choice"))
    return Control(tag.get("toName", ""), tag.get("choice") == "multiple", None if dynamic else labels)


def _problems(shape: ConfigShape, kind: str) -> list[str]:
    if kind == "pair":
        return _control_problems(shape, PAIR_CONTROL, PAIR_OBJECT, PAIR_LABELS)
    return [
        *_control_problems(shape, CANDIDATES_CONTROL, SCREEN_OBJECT, None),
        *_control_problems(shape, VERDICT_CONTROL, SCREEN_OBJECT, (NONE_OF_THESE, CANNOT_TELL)),
    ]


def _object_problems(shape: ConfigShape, kind: str, tag: str) -> list[str]:
    """What is shown by another tag than samples of this medium need; what is not there the controls complain about."""
    names = (PAIR_OBJECT, PAIR_OTHER) if kind == "pair" else (SCREEN_OBJECT,)
    wrong = [name for name in names if shape.objects.get(name, tag) != tag]
    return [
        f'<{shape.objects[name]} name="{name}"> shows the samples, expected <{tag} name="{name}">' for name in wrong
    ]


def _control_problems(shape: ConfigShape, name: str, to_name: str, labels: Sequence[str] | None) -> list[str]:
    control = shape.controls.get(name)
    if control is None:
        return [f'there is no <Choices name="{name}">']
    found = []
    if control.to_name != to_name:
        found.append(f'<Choices name="{name}"> has toName="{control.to_name}", expected "{to_name}"')
    if control.multiple != (labels is None):
        found.append(f'<Choices name="{name}"> needs choice="{"multiple" if labels is None else "single"}"')
    if labels is None and control.labels is not None:
        found.append(f'<Choices name="{name}"> needs value="$candidates"')
    if labels is not None:
        missing = set(labels) - (control.labels or frozenset())
        found += [f'<Choices name="{name}"> has no choice {label!r}' for label in sorted(missing)]
    return found
