import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_config import render
from label_config.parse import check, read_config
from label_config.results import pair_result, screen_result

TEXT_PAIR = """<View><Text name="left" value="$left"/><Text name="right" value="$right"/>
<Choices name="answer" toName="left"><Choice value="Same"/><Choice value="Different"/><Choice value="Unsure"/></Choices></View>"""
TWO_LABELS = """<View><Image name="left" value="$left"/><Image name="right" value="$right"/>
<Choices name="answer" toName="left"><Choice value="Same"/><Choice value="Different"/></Choices></View>"""


def test_our_own_configs_are_recognised() -> None:
    """What is rendered is read back as the kind it was rendered for, with nothing to complain about."""
    assert read_config(render.pair_config()).kind == "pair"
    assert read_config(render.screen_config()).kind == "screen"
    assert check(render.pair_config(), "pair") == check(render.screen_config(), "screen") == []


def test_text_pairs_are_pairs_too() -> None:
    """The kind depends on the control, not on what is shown."""
    assert read_config(TEXT_PAIR).kind == "pair"


def test_labels_are_what_label_studio_stores() -> None:
    """An alias replaces the visible value."""
    xml = '<View><Choices name="a" toName="t"><Choice value="Yes" alias="y"/><Choice value="No"/></Choices></View>'
    control = read_config(xml).controls["a"]
    assert control.labels == {"y", "No"}
    assert not control.multiple


def test_dynamic_choices_have_no_fixed_labels() -> None:
    """Choices that come from the task may be anything."""
    assert read_config(render.screen_config()).controls["picked"].labels is None


@pytest.mark.parametrize(
    ("xml", "kind", "words"),
    [
        (TWO_LABELS, "pair", "has no choice 'Unsure'"),
        (TWO_LABELS, "screen", 'there is no <Choices name="picked">'),
        (render.pair_config().replace('toName="left"', 'toName="right"'), "pair", 'expected "left"'),
        (render.pair_config().replace('choice="single"', 'choice="multiple"'), "pair", 'needs choice="single"'),
        (render.screen_config().replace('choice="multiple"', ""), "screen", 'needs choice="multiple"'),
        (render.screen_config().replace('value="$candidates"', ""), "screen", 'needs value="$candidates"'),
        (render.screen_config().replace("Cannot tell", "?"), "screen", "has no choice 'Cannot tell'"),
        ("<View>", "pair", "is not XML"),
    ],
)
def test_check_says_in_words_what_is_wrong(xml: str, kind: str, words: str) -> None:
    """Every way in which a config does not serve its kind has a sentence of its own."""
    assert any(words in problem for problem in check(xml, kind)), check(xml, kind)


def test_results_are_held_against_the_config() -> None:
    """A result fits only where its control, its object and its labels exist."""
    pair, screen, two = read_config(render.pair_config()), read_config(render.screen_config()), read_config(TWO_LABELS)
    assert pair.fits(pair_result("Unsure"))
    assert two.fits(pair_result("Same"))
    assert not two.fits(pair_result("Unsure"))
    assert not screen.fits(pair_result("Same"))
    assert screen.fits(screen_result(["any"]))
    assert screen.fits(screen_result([]))
    assert not read_config(render.pair_config().replace('toName="left"', 'toName="x"')).fits(pair_result("Same"))


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><View>&b;</View>',
        '<!ENTITY a "b"><View/>',
        "<View",
        "",
        "<View>" + " " * 500_000 + "</View>",
        "<View>\x00</View>",
    ],
)
def test_hostile_xml_is_refused(xml: str) -> None:
    """Entity bombs, broken and endless XML are refused before anything is built from them."""
    with pytest.raises(ValueError, match="labelling config"):
        read_config(xml)


def test_comments_and_cdata_are_read() -> None:
    """A comment or a CDATA section, which people do write, is no declaration."""
    xml = render.pair_config().replace("<Header", "<!-- ours --><Style><![CDATA[a > b {}]]></Style><Header")
    assert read_config(xml).kind == "pair"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text whatever makes reading fail in another way."""
    assert isinstance(check(text, "pair"), list)


def test_the_recordings_config_is_ours() -> None:
    """The config under which the recordings were made asks about pairs."""
    recording = json.loads((Path(__file__).parents[1] / "recordings" / "04_ml_connect.json").read_text())
    assert read_config(recording["requests_sent_by_label_studio"][1]["body"]["schema"]).kind == "pair"
