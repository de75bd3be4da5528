"""Texts on pages and in tasks."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from label_config import render
from label_config.parse import check, object_fields, read_config
from pal_backend import wire
from pal_backend.core.vocabulary import Medium, Question, QuestionKind
from pal_backend.errors import NotFoundError
from pal_backend.pool_index import load_samples
from pal_backend.pool_manifest import ManifestPool
from pal_backend.samples import ingest
from pal_backend.store.artefacts import Artefacts
from pal_backend.text_cards import COLUMNS, LINES, STYLE, STYLE_HASH, TextCards, drawn

HOSTILE = '</text><script>alert(1)</script> "quoted" & \x00\x1b\u202e turned'


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    """Two texts taken in."""
    kept = Artefacts(str(tmp_path / "artefacts"))
    rows = [{"text": "First text"}, {"text": "word " * 300}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(ManifestPool(tmp_path / "t.jsonl", Medium.TEXT), kept, "p", 8, medium=Medium.TEXT)
    return kept


def lines(text: str) -> list[str]:
    """The lines of its card."""
    return [span.text or "" for span in ET.fromstring(drawn(text)).iter("{http://www.w3.org/2000/svg}tspan")]


def test_a_card_shows_the_first_words() -> None:
    """Broken between words; what does not fit ends in an ellipsis, a word of its own length is cut."""
    assert lines("A short text") == ["A short text"]
    assert lines("one two three four five six") == ["one two three", "four five six"]
    long = lines("word " * 200)
    assert (len(long), long[-1][-1]) == (LINES, "…")
    assert all(len(line) <= COLUMNS for line in long)
    assert lines("x" * 30) == ["x" * COLUMNS, "x" * (30 - COLUMNS)]
    assert [len(line) for line in lines("漢" * 15)] == [7, 7, 1]
    assert lines("") == []


def test_a_hostile_text_is_only_text() -> None:
    """No tag, no control sign and no turn of direction comes out of it; XML can always read it."""
    card = drawn(HOSTILE)
    assert "<script" not in card
    assert not {"\x00", "\x1b", "\u202e"} & set(card)
    assert "".join(lines(HOSTILE)).startswith("</text><script>")


def test_cards_are_read_from_the_pool_and_follow_it(artefacts: Artefacts) -> None:
    """Beginnings are kept for a minute; the whole text is read when somebody asks for it."""
    first, second = (sample.id for sample in load_samples(artefacts, "p"))
    cards = TextCards(artefacts, lambda: 0.0)
    assert (cards.excerpt("p", first), len(cards.excerpt("p", second))) == ("First text", 400)
    assert cards.card("p", first).media_type == "image/svg+xml"
    assert cards.whole("p", second).content.decode() == ("word " * 300).strip()
    for ask in (cards.card, cards.excerpt, cards.whole):
        with pytest.raises(NotFoundError, match="no text ffff"):
            ask("p", "f" * 16)


def test_the_cards_policy_allows_its_own_style_alone() -> None:
    """By its hash."""
    import base64
    import hashlib

    assert STYLE in drawn("x")
    assert f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'" == STYLE_HASH


CONFIGS = {"pair": render.text_pair_config(), "screen": render.text_screen_config()}


@pytest.mark.parametrize("kind", CONFIGS)
def test_text_configs_serve_texts_and_image_configs_images(kind: str) -> None:
    """One for the other is refused in words, though their controls are the same."""
    images = {"pair": render.pair_config(), "screen": render.screen_config()}[kind]
    assert read_config(CONFIGS[kind]).kind == kind
    assert not check(CONFIGS[kind], kind, "text")
    assert not check(images, kind, "image")
    assert "expected <Text name=" in check(images, kind, "text")[0]
    assert "expected <Image name=" in check(CONFIGS[kind], kind, "image")[0]
    assert object_fields(CONFIGS["pair"], "Text") == ["left", "right"]
    assert object_fields(CONFIGS["pair"], "Image") == []


@pytest.mark.parametrize("kind", CONFIGS)
def test_hotkeys_are_those_of_images(kind: str) -> None:
    """Who has learned one kind of desk has learned the other."""
    images = {"pair": render.pair_config(), "screen": render.screen_config()}[kind]

    def keys(xml: str) -> list[tuple[str | None, str | None]]:
        return [(one.get("value"), one.get("hotkey")) for one in ET.fromstring(xml).iter("Choice")]

    assert keys(CONFIGS[kind]) == keys(images)


def test_the_text_files_can_be_pasted_as_they_are() -> None:
    """And a question of one's own takes the place of ours."""
    from importlib.resources import files

    for name, config in (("pair_text.xml", CONFIGS["pair"]), ("screen_text.xml", CONFIGS["screen"])):
        assert files("label_config").joinpath(name).read_text("utf-8") == config
    header = ET.fromstring(render.text_pair_config('Is "a" < b?')).find("Header")
    assert header is not None
    assert header.get("value") == 'Is "a" < b?'


@pytest.mark.parametrize("kind", CONFIGS)
def test_text_tasks_fit_their_config_by_label_studios_own_rules(kind: str) -> None:
    """The SDK reads the config and finds nothing wrong with the data; candidates are named by their samples, and escaped."""
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface
    anchor, *others = (f"{n:016x}" for n in range(4))
    question = Question(QuestionKind(kind), anchor, tuple(others[: 1 if kind == "pair" else 3]))
    texts = {anchor: "An anchor\nof two lines", **dict.fromkeys(others, HOSTILE + "x" * 3000)}
    task = wire.task_json(question, project="p", desk="d", media_url=texts.__getitem__, medium=Medium.TEXT)
    made = interface(CONFIGS[kind])
    made.validate()
    assert made.validate_task({"data": task["data"]})
    if kind == "pair":
        assert task["data"] == {"left": texts[anchor], "right": texts[others[0]]}
        return
    assert task["data"]["anchor"] == texts[anchor]
    for sample, candidate in zip(others, task["data"]["candidates"], strict=True):
        assert candidate["value"] == sample
        assert "<script" not in candidate["html"]
        assert candidate["html"].endswith("…</p>")
        assert len(candidate["html"]) < 2_200
