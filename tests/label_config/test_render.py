from importlib.resources import files
from xml.etree import ElementTree as ET

from label_config import render


def _header(xml: str) -> str | None:
    header = ET.fromstring(xml).find("Header")
    return None if header is None else header.get("value")


def test_pair_config_offers_three_labels_with_hotkeys() -> None:
    """A pair is answered with 1, 2 or 3, about the left image."""
    choices = ET.fromstring(render.pair_config()).find("Choices")
    assert choices is not None
    assert (choices.get("name"), choices.get("toName")) == ("answer", "left")
    assert [(c.get("value"), c.get("hotkey")) for c in choices] == [("Same", "1"), ("Different", "2"), ("Unsure", "3")]
    assert choices.get("choice") == "single"
    assert choices.get("required") == "true"


def test_screen_config_has_a_dynamic_and_a_fixed_control() -> None:
    """A screen's candidates come from the task; the two verdicts stand in the config."""
    picked, verdict = ET.fromstring(render.screen_config()).iter("Choices")
    assert (picked.get("value"), picked.get("choice"), len(picked)) == ("$candidates", "multiple", 0)
    assert [(c.get("value"), c.get("hotkey")) for c in verdict] == [("None of these", "0"), ("Cannot tell", "u")]


def test_the_files_can_be_pasted_as_they_are() -> None:
    """Without a question of one's own, what is rendered is the file itself."""
    for name, config in (("pair.xml", render.pair_config()), ("screen.xml", render.screen_config())):
        assert files("label_config").joinpath(name).read_text("utf-8") == config


def test_question_text_is_escaped() -> None:
    """A question with marks of XML in it neither breaks the config nor adds a tag."""
    text = """Is "a" < b & 'c'? <script/>"""
    for config in (render.pair_config(text), render.screen_config(text)):
        assert _header(config) == text


def test_dollar_in_a_question_is_not_a_variable() -> None:
    """Label Studio fills in "$name" in a header, so a dollar sign is kept apart from what follows it."""
    assert _header(render.pair_config("Under $price?")) == "Under $\u2060price?"


def test_pair_task_names_both_pictures() -> None:
    """The data of a pair is what the config's two images ask for."""
    assert render.pair_task("http://h/a", "http://h/b") == {"left": "http://h/a", "right": "http://h/b"}


def test_screen_task_escapes_urls_and_gives_hotkeys() -> None:
    """A candidate is a thumbnail whose URL cannot break out of its attribute, named by the sample's id."""
    data = render.screen_task("http://h/a", [("id1", 'http://h/b?x=1&y="><script>'), ("id2", "http://h/c")])
    first, second = data["candidates"]
    assert data["anchor"] == "http://h/a"
    assert (first["value"], first["hotkey"], second["value"], second["hotkey"]) == ("id1", "1", "id2", "2")
    assert "<script>" not in first["html"]
    assert 'src="http://h/b?x=1&amp;y=&quot;&gt;&lt;script&gt;"' in first["html"]


def test_thumbnails_have_one_size() -> None:
    """Every candidate is drawn in the same square, whatever the size of its file."""
    data = render.screen_task("a", [(str(n), f"http://h/{n}") for n in range(4)])
    assert all('width="150" height="150"' in c["html"] for c in data["candidates"])


def test_hotkeys_never_clash_with_the_verdicts() -> None:
    """However many candidates: keys are distinct, 0 and u stay free, and those beyond the last key have none."""
    data = render.screen_task("a", [(str(n), "u") for n in range(40)])
    keys = [c.get("hotkey") for c in data["candidates"]]
    given = [k for k in keys if k]
    assert len(set(given)) == len(given) == len(render.HOTKEYS)
    assert not {"0", "u"} & set(given)
    assert keys[len(given) :] == [None] * (40 - len(given))
