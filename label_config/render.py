"""Labelling configs and task data, ready to be sent to Label Studio."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import Any
from xml.sax.saxutils import escape

PAIR_QUESTION = "Do these two show the same thing?"
SCREEN_QUESTION = "Tick every picture that shows the same thing as this one"
TEXT_PAIR_QUESTION = "Do these two mean the same thing?"
TEXT_SCREEN_QUESTION = "Tick every text that means the same as this one"

CANDIDATE_CHARACTERS = 2_000
"""Of a candidate text on a screen; more is cut off, since several stand side by side."""

THUMBNAIL_PIXELS = 150
"""Width and height of a candidate's picture on a screen."""

HOTKEYS = "123456789qwetasdfgzxcvb"
"""Keys of the candidates, in order. 0 and u belong to the verdicts; candidates beyond the last key are ticked by mouse."""


def pair_config(question_text: str = PAIR_QUESTION) -> str:
    """XML of a desk that asks about two images: Same (1), Different (2), Unsure (3)."""
    return _config("pair.xml", PAIR_QUESTION, question_text)


def screen_config(question_text: str = SCREEN_QUESTION) -> str:
    """XML of a desk that shows an anchor and K candidates to tick, with None of these (0) and Cannot tell (u)."""
    return _config("screen.xml", SCREEN_QUESTION, question_text)


def text_pair_config(question_text: str = TEXT_PAIR_QUESTION) -> str:
    """XML of a desk that asks about two texts: Same (1), Different (2), Unsure (3)."""
    return _config("pair_text.xml", TEXT_PAIR_QUESTION, question_text)


def text_screen_config(question_text: str = TEXT_SCREEN_QUESTION) -> str:
    """XML of a desk that shows an anchor text and K candidates to tick, with None of these (0) and Cannot tell (u)."""
    return _config("screen_text.xml", TEXT_SCREEN_QUESTION, question_text)


def pair_task(left_url: str, right_url: str) -> dict[str, Any]:
    """Task data for :func:`pair_config`."""
    return {"left": left_url, "right": right_url}


def text_pair_task(left: str, right: str) -> dict[str, Any]:
    """Task data for :func:`text_pair_config`."""
    return {"left": left, "right": right}


def text_screen_task(anchor: str, candidates: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Task data for :func:`text_screen_config`; ``candidates`` are (id, text) of each."""
    return _screen_task(anchor, [(name, _paragraph(text)) for name, text in candidates])


def screen_task(anchor_url: str, candidates: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Task data for :func:`screen_config`.

    Args:
        anchor_url: where the anchor's picture is.
        candidates: (id, picture URL) of each candidate. The id is what Label Studio stores when it is ticked, so it
            names the sample and not the position.
    """
    numbered = enumerate(candidates, start=1)
    return _screen_task(anchor_url, [(name, _picture(number, url)) for number, (name, url) in numbered])


def _screen_task(anchor: str, candidates: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Task data of a screen from (id, html) of each candidate."""
    keys: list[str | None] = [*HOTKEYS, *[None] * len(candidates)]
    return {
        "anchor": anchor,
        "candidates": [
            {"value": name, "html": shown} | ({"hotkey": key} if key else {})
            for (name, shown), key in zip(candidates, keys, strict=False)
        ],
    }


def _picture(number: int, url: str) -> str:
    side = THUMBNAIL_PIXELS
    return f'<img src="{html.escape(url)}" width="{side}" height="{side}" alt="candidate {number}"/>'


def _paragraph(text: str) -> str:
    cut = text if len(text) <= CANDIDATE_CHARACTERS else text[: CANDIDATE_CHARACTERS - 1].rstrip() + "…"
    return f"<p>{html.escape(cut)}</p>"


def _config(name: str, default_text: str, question_text: str) -> str:
    # Label Studio fills in $name anywhere in a header; a word joiner after the sign keeps "$5" what it is.
    shown = escape(question_text.replace("$", "$\u2060"), {'"': "&quot;", "\n": " "})
    xml = files("label_config").joinpath(name).read_text("utf-8")
    # The file holds the usual question, so that it can be pasted into Label Studio as it is.
    return xml.replace(f'<Header value="{default_text}"/>', f'<Header value="{shown}"/>')
