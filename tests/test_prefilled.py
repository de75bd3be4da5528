"""What an annotator's browser shows before the first click: nothing, unless the desk prelabels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from label_config.render import pair_config
from label_config.results import pair_result
from pal_backend.label_studio import LabelStudio
from tests.browser import signed_in
from tests.label_studio_server import LabelStudioServer

pytestmark = pytest.mark.e2e

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
CHECKED = """() => [...document.querySelectorAll('input:checked')].map(input => input.name)
    .filter(name => ['Same', 'Different', 'Unsure'].includes(name))"""


@pytest.fixture(scope="module")
def page(browser: Browser, label_studio: LabelStudioServer) -> Page:
    """A page signed in to Label Studio."""
    return signed_in(browser, label_studio.url, label_studio.email)


@pytest.fixture(scope="module")
def client(label_studio: LabelStudioServer) -> Iterator[LabelStudio]:
    """A client."""
    with closing(LabelStudio(label_studio.url, label_studio.pat)) as client:
        yield client


def chosen(page: Page, client: LabelStudio, result: list[Any], show: bool) -> dict[str, list[str]]:
    """What is chosen on first sight in the label stream and in the Data Manager, with one prediction of ``result``."""
    project = client.create_project("prefilled", "", pair_config()).id
    client.patch_project(project, sampling="Uncertainty sampling", show_collab_predictions=show)
    prediction = {"result": result, "score": 0.5, "model_version": "v0001"}
    (task,) = client.import_tasks(project, [{"data": {"left": PIXEL, "right": PIXEL}, "predictions": [prediction]}])
    client.patch_project(project, model_version="v0001")
    found = {}
    for view, query in (("stream", "labeling=1"), ("data manager", f"task={task}")):
        page.goto(f"{client.url}/projects/{project}/data?{query}")
        page.wait_for_selector("input[name=Different]", state="attached")
        page.wait_for_timeout(2000)  # a guess is filled in after the choices are drawn
        found[view] = page.evaluate(CHECKED)
    return found


def test_a_score_alone_prefills_nothing_anywhere(page: Page, client: LabelStudio) -> None:
    """What desks without prelabelling post leaves every choice blank, in the label stream and in the Data Manager."""
    assert chosen(page, client, [], show=False) == {"stream": [], "data manager": []}


def test_label_studios_own_switch_does_not_cover_the_data_manager(page: Page, client: LabelStudio) -> None:
    """With show_collab_predictions off a stored guess stays hidden in the stream only: this is why none is stored.

    Should this fail with a later Label Studio, guesses could be stored for all desks.
    """
    assert chosen(page, client, pair_result("Same"), show=False) == {"stream": [], "data manager": ["Same"]}


def test_a_prelabelling_desk_shows_its_guess(page: Page, client: LabelStudio) -> None:
    """With the switch on the guess is chosen in both."""
    assert chosen(page, client, pair_result("Same"), show=True) == {"stream": ["Same"], "data manager": ["Same"]}
