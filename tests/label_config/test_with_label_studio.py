"""Our configs, tasks and results before the judge that Label Studio's own client brings along."""

from typing import Any

import pytest

from label_config import render
from label_config.results import pair_result, screen_result

PAIR_TASK = render.pair_task("http://h/a.png", "http://h/b.png")
SCREEN_TASK = render.screen_task("http://h/a.png", [("id1", "http://h/b.png"), ("id2", "http://h/c.png")])
TEXT_PAIR_TASK = render.text_pair_task("One <b>text</b>", "Another")
TEXT_SCREEN_TASK = render.text_screen_task("One text", [("id1", "Another <script>"), ("id2", "A third")])


@pytest.fixture(scope="module")
def interface() -> Any:
    """Label Studio's reading of labelling configs."""
    from label_studio_sdk.label_interface import LabelInterface

    return LabelInterface


@pytest.mark.parametrize("text", ["Do these two show the same thing?", 'Is "a" < b & c > $5?'])
@pytest.mark.parametrize(
    ("config", "task", "results"),
    [
        (render.pair_config, PAIR_TASK, [pair_result(label) for label in ("Same", "Different", "Unsure")]),
        (render.screen_config, SCREEN_TASK, [screen_result(["id2"]), screen_result([])]),
        (render.text_pair_config, TEXT_PAIR_TASK, [pair_result(label) for label in ("Same", "Different", "Unsure")]),
        (render.text_screen_config, TEXT_SCREEN_TASK, [screen_result(["id2"]), screen_result([])]),
    ],
)
def test_label_studio_takes_what_we_make(interface: Any, config: Any, task: Any, results: Any, text: str) -> None:
    """Config, task data and every result are valid by Label Studio's own rules, whatever the question says."""
    read = interface(config(text))
    read.validate()
    assert read.validate_task({"id": 1, "data": task})
    for result in results:
        prediction = {"result": result, "score": 0.5, "model_version": "v0001"}
        assert read.validate_prediction(prediction, return_errors=True) == []


def test_label_studio_refuses_what_does_not_fit(interface: Any) -> None:
    """The judge does judge: a label that the config lacks is an error."""
    assert interface(render.pair_config()).validate_prediction({"result": pair_result("Equal")}, return_errors=True)
