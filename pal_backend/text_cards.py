"""Texts where pages show pictures: a card with the first words, drawn as an SVG, so that every page works with texts too.

In an ``<img>`` nothing in an SVG runs and nothing is fetched, and the browser's light or dark applies inside.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from html import escape
from threading import Lock
from typing import TYPE_CHECKING

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import NotFoundError
from pal_backend.media import REREAD_SECONDS, Picture
from pal_backend.pool_index import load_samples, load_texts

if TYPE_CHECKING:
    from pal_backend.store.artefacts import Artefacts

SIDE = 160
LINES = 7
COLUMNS = 15
"""Places in a line; signs of East Asian scripts take two."""
EXCERPT = 400
"""Characters kept of each text."""
STYLE = (
    "text{font:16px system-ui,sans-serif;fill:#1f2328}rect{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e8eb}rect{fill:#24272c}}"
)
STYLE_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""By which a page's policy knows the card's own style."""


class TextCards:
    """Draws cards of texts. Keeps the beginnings of each pool's texts for a minute; safe to use from several threads."""

    def __init__(self, artefacts: Artefacts, clock: Callable[[], float]) -> None:
        self._artefacts = artefacts
        self._clock = clock
        self._kept: dict[str, tuple[float, Mapping[SampleId, str]]] = {}
        self._lock = Lock()

    def card(self, project: str, sample: SampleId) -> Picture:
        """The first words of a text, 160 x 160.

        Raises:
            NotFoundError: there is no such text.
        """
        return Picture(drawn(self.excerpt(project, sample)).encode(), "image/svg+xml")

    def excerpt(self, project: str, sample: SampleId) -> str:
        """The first words of a text.

        Raises:
            NotFoundError: there is no such text.
        """
        with self._lock:
            since, texts = self._kept.get(project, (float("-inf"), {}))
            if self._clock() - since > REREAD_SECONDS:
                texts = {name: text[:EXCERPT] for name, text in self._all(project).items()}
                self._kept[project] = self._clock(), texts
        if sample not in texts:
            raise _missing(sample)
        return texts[sample]

    def whole(self, project: str, sample: SampleId) -> Picture:
        """All of a text.

        Raises:
            NotFoundError: there is no such text.
        """
        texts = self._all(project)
        if sample not in texts:
            raise _missing(sample)
        return Picture(texts[sample].encode(), "text/plain; charset=utf-8")

    def _all(self, project: str) -> dict[SampleId, str]:
        samples, texts = load_samples(self._artefacts, project), load_texts(self._artefacts, project)
        return {sample.id: text for sample, text in zip(samples, texts, strict=True)}


def drawn(text: str) -> str:
    """An SVG with the first lines of a text."""
    lines = _lines(text)
    spans = "".join(f'<tspan x="10" dy="20">{escape(_clean(line))}</tspan>' for line in lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}" viewBox="0 0 {SIDE} {SIDE}">'
        f'<style>{STYLE}</style><rect width="{SIDE}" height="{SIDE}"/><text y="8">{spans}</text></svg>'
    )


def _lines(text: str) -> list[str]:
    """The text broken between words, a word that is too long within; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    here, left = "", text.split()
    while left and len(lines) < LINES:
        joined = f"{here} {left[0]}" if here else left[0]
        if _width(joined) <= COLUMNS:
            here = joined
            left.pop(0)
        elif here:
            lines.append(here)
            here = ""
        else:
            end = next(n for n in range(len(joined), 0, -1) if _width(joined[:n]) <= COLUMNS)
            lines.append(joined[:end])
            left[0] = joined[end:]
    if len(lines) < LINES and here:
        return [*lines, here]
    return [*lines[:-1], lines[-1][: COLUMNS - 1] + "…"] if lines and (left or here) else lines


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _clean(line: str) -> str:
    """Without signs that XML has not, and without those that turn the direction of what follows."""
    return "".join(sign for sign in line if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Cn"))


def _missing(sample: SampleId) -> NotFoundError:
    return NotFoundError(f"there is no text {sample:.20} in the pool; it may have been taken in just now; look again")
