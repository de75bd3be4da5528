"""The data card: what it tells, and that it asks nobody for anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from pal_backend.core.quality import Accuracy, Quality
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict
from pal_backend.exports.card import Agreement, agreement
from pal_backend.exports.making import make
from pal_backend.store.history import Point
from pal_backend.store.stores import Stores
from tests.exports.house import House, build_house


def answer(number: int, person: str, verdict: Verdict, pair: tuple[str, str] = ("a", "b"), at: int = 1) -> Answer:
    """One answer."""
    return Answer(AnnotationKey("pairs", number), Pair.of(*pair), verdict, person, at)


def test_agreement_is_told_of_pairs_that_several_people_took_a_side_on() -> None:
    """Unsure is no side; who changed one's mind counts with the last word; one person alone agrees with nobody."""
    alone = [answer(1, "1", Verdict.SAME), answer(2, "2", Verdict.UNSURE), answer(3, "1", Verdict.DIFFERENT, at=2)]
    assert agreement(alone) == Agreement(0, 0) and agreement(alone).share is None
    both = [
        *alone,
        answer(4, "2", Verdict.DIFFERENT),
        answer(5, "1", Verdict.SAME, ("a", "c")),
        answer(6, "2", Verdict.DIFFERENT, ("a", "c")),
    ]
    assert agreement(both) == Agreement(2, 1) and agreement(both).share == 0.5


def card(house: House) -> str:
    """The card's text."""
    return make(house.snapshot(), "card").data.decode()


def test_the_card_tells_what_was_asked_of_whom_and_how_good_it_is(house: House) -> None:
    """Counts, people, agreement, accuracy with its interval and curve, examples of each group with its name."""
    snapshot = house.snapshot()
    assert snapshot.posterior is not None and snapshot.grouping is not None
    quality = Quality(Accuracy(0.93, 0.9, 0.96, 25), 0.012)
    for count in (50, 90, 120):
        point = Point(count, count, 3, "v0000", 1.0)
        house.stores.history("digits").note(point.judged(replace(quality, accuracy=Accuracy(count / 200, 0.2, 0.7, 9))))
    house.stores.names("digits").give(snapshot.grouping.groups[0], "<b>zeros</b>", 1.0, snapshot.grouping)
    snapshot = replace(house.snapshot(), posterior=replace(snapshot.posterior, quality=quality))
    text = make(snapshot, "card").data.decode()
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert f"60 samples in {len(snapshot.grouping.sized)} groups" in words and "121 annotations" in words
    assert "93 % of the samples" in words and "90 % and 96 %" in words and "25 checks" in words
    assert "to estimate the accuracy" in words and "1 question was skipped" in words and "Same?" in words
    assert '<path class="line"' in text
    assert "&lt;b&gt;zeros&lt;/b&gt;" in text and "<b>" not in text
    assert text.count("data:image/webp;base64,") >= 3 * 5
    assert len(text) < 150_000


def test_a_card_before_the_first_answer_says_so(stores: Stores, tmp_path: Path) -> None:
    """No estimate, no groups, nobody."""
    text = card(build_house(stores, tmp_path / "pool", samples=4))
    assert "No groups yet" in text and "No estimate yet" in text and "agreement cannot be stated" in text


def test_pictures_that_are_gone_are_shown_from_what_training_sees(house: House, tmp_path: Path) -> None:
    """The pool's files may be elsewhere by then."""
    for path in (tmp_path / "pool").iterdir():
        path.unlink()
    assert card(house).count("data:image/webp;base64,") >= 3 * 5


def test_a_browser_asks_nobody_for_anything(house: House, tmp_path: Path, browser: Browser) -> None:
    """Opened from a folder: styled, light and dark, pictures shown, no script, no request, no sideways scrolling on a phone."""
    (tmp_path / "card.html").write_text(card(house))
    page = browser.new_context(viewport={"width": 390, "height": 800}).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: asked.append(message.text))
    page.goto((tmp_path / "card.html").as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "card.html").as_uri()]
    assert page.evaluate("[...document.images].every(image => image.naturalWidth === 96)")
    for scheme, ground in (("light", "rgb(247, 248, 250)"), ("dark", "rgb(15, 17, 21)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == [], found
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()
