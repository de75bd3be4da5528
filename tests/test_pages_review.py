"""The pages on which a lead looks closer and decides; and the same as commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from pal_backend import wire
from pal_backend.cli import app
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.ties import Ties
from pal_backend.core.vocabulary import (
    Annotation,
    AnnotationKey,
    Answer,
    Pair,
    Purpose,
    Question,
    QuestionKind,
    Verdict,
)
from pal_backend.settings import Settings
from pal_backend.store.reasons import Conflict, Doubt, Review, files_of
from pal_backend.store.stores import Stores
from tests.test_pages import GROUP, GROUPS, OVERVIEW, QUESTIONS, entered, token_of
from tests.web_side import PROJECT, SAMPLES, WebSide

REVIEW = f"{OVERVIEW}/review"
SAID = [
    (0, 1, "same", "ann"),
    (1, 2, "same", "ann"),
    (7, 8, "same", "bob"),
    (0, 7, "different", "bob"),
    (2, 3, "same", "ann"),
    (2, 3, "different", "bob"),
]
"""Rows, verdict, annotator: a chain of the first group, the second, and a pair that two people differ on."""


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """Two groups, the answers that found them, and a conflict and a doubt in the review."""
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    side.fill_pool()
    answers = []
    for number, (a, b, verdict, person) in enumerate(SAID, start=1):
        key = AnnotationKey("pairs", number)
        answers.append(Answer(key, Pair.of(SAMPLES[a], SAMPLES[b]), Verdict(verdict), person, number * 10**6))
        annotation = Annotation(key, 40 + number, "q", person, number * 10**6, (answers[-1],))
        stores.answers(PROJECT).put([annotation])
    graph = SimilarityGraph.of(answers)
    index = {sample: row for row, sample in enumerate(SAMPLES)}
    disputed, bridge = answers[4].pair, answers[2].pair
    doubt = Doubt(SAMPLES[7], 0.4, 1.2, (SAMPLES[8],), (SAMPLES[7], SAMPLES[9]), (bridge,))
    review = Review((Conflict((disputed,), "People differ."),), 1, (doubt,))
    side.revision([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], more=files_of(Ties.of(graph, index), review))
    ring = np.arange(12)
    stores.reasons(PROJECT).keep_neighbours("v0000", np.arange(0, 26, 2), np.stack([(ring + 1) % 12, (ring - 1) % 12], 1).ravel(), np.tile([0.9, 0.4], 12))  # fmt: skip
    return side


def sample(row: int) -> str:
    """Address of a sample's page."""
    return f"{OVERVIEW}/samples/{SAMPLES[row]}"


def part_of(page: str, name: str) -> str:
    """One part of a page."""
    return page.split(f'data-part="{name}"')[1].split("</section>", maxsplit=1)[0]


def acted(client: TestClient, path: str, **fields: object) -> int:
    """Status of an act with the right token."""
    return client.post(path, data={"token": token_of(client), **fields}, follow_redirects=False).status_code


def test_a_sample_says_why_it_is_where_it_is(web: WebSide) -> None:
    """The chain of answers to the founder with who gave them and where, its own answers, neighbours, and the other group."""
    page = entered(web, "viewer").get(sample(2)).text
    chain = part_of(page, "chain")
    assert re.findall(r"/samples/([0-9a-f]{16})", chain) == [SAMPLES[2], SAMPLES[1], SAMPLES[0]]
    assert chain.count("annotator ann") == 2 and "/projects/2/data?task=42" in chain and "1970-01-01 00:00 UTC" in chain
    answers = part_of(page, "answers")
    assert "people differ" in answers and answers.index(SAMPLES[3]) < answers.index(SAMPLES[1])
    assert "annotator bob" in answers and "<form" not in answers
    near = part_of(page, "near")
    assert re.findall(r"/samples/([0-9a-f]{16})", near) == [SAMPLES[3], SAMPLES[1]]
    assert near.index(", 69 %") < near.index(", 31 %")  # ties of .9 and .4
    assert SAMPLES[0] in part_of(page, "groups")


def test_samples_without_answers_lead_on_from_their_neighbour(web: WebSide) -> None:
    """One beside the chain takes its neighbour's; one that nothing leads to, and a founder, say so; unknown ones are not there."""
    client = entered(web, "viewer")
    beside = part_of(client.get(sample(9)).text, "chain")
    assert (
        "Nobody answered on it" in beside and f"/samples/{SAMPLES[8]}" in beside and f"/samples/{SAMPLES[7]}" in beside
    )
    assert "No answers lead there" in client.get(sample(5)).text
    assert "It founded this group" in client.get(sample(0)).text
    assert client.get(f"{OVERVIEW}/samples/nobody").status_code == 404


def test_samples_are_linked_from_galleries_questions_and_the_review(web: WebSide) -> None:
    """Wherever a picture stands one click says why."""
    web.post_question(Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[4],), Purpose.PLACE, (0.7,), 0.9), 1)
    client = entered(web, "viewer")
    for path, row in ((GROUP, 3), (QUESTIONS, 4), (REVIEW, 2)):
        assert f'href="{sample(row)}"' in client.get(path).text


def test_the_review_shows_who_disagrees_and_takes_a_decision(web: WebSide) -> None:
    """Both answers with their people, and both sides of the doubtful merge; a viewer has no buttons."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    page = lead.get(REVIEW).text
    assert "People differ on these two" in page and "annotator ann" in page and "annotator bob" in page
    assert "may be two groups (40 %)" in page and f"/samples/{SAMPLES[9]}" in page
    assert "<form" not in viewer.get(REVIEW).text.split("<main")[1]
    pair = {"first": SAMPLES[2], "second": SAMPLES[3]}
    assert acted(viewer, f"{OVERVIEW}/pairs", **pair, act="same") == 403
    assert lead.post(f"{OVERVIEW}/pairs", data={**pair, "act": "same"}).status_code == 403
    assert acted(lead, f"{OVERVIEW}/pairs", **pair, act="nothing") == 400
    assert acted(lead, f"{OVERVIEW}/pairs", first=SAMPLES[2], second=SAMPLES[2], act="same") == 400
    assert acted(lead, f"{OVERVIEW}/pairs", first=SAMPLES[1], second=SAMPLES[2], act="part") == 404
    assert web.stores.decisions(PROJECT).all() == []

    assert acted(lead, f"{OVERVIEW}/pairs", **pair, act="different") == 303
    assert acted(lead, f"{OVERVIEW}/pairs", first=SAMPLES[7], second=SAMPLES[8], act="part") == 303
    split, settled = web.stores.decisions(PROJECT).all()
    assert settled.said == ((SAMPLES[2], SAMPLES[3], Verdict.DIFFERENT),)
    assert (split.about, split.said) == ((SAMPLES[7], SAMPLES[8]), ((SAMPLES[8], SAMPLES[7], Verdict.DIFFERENT),))
    assert [event for _, event in web.stream()] == [wire.Decided((one.number,)) for one in (settled, split)]


def test_a_pair_is_sent_back_to_label_studio_once(web: WebSide) -> None:
    """Through the stream; what stands open there is not asked again, and says so."""
    lead = entered(web, "lead")
    pair = {"first": SAMPLES[2], "second": SAMPLES[3], "act": "ask"}
    assert acted(lead, f"{OVERVIEW}/pairs", **pair) == 303
    [(_, event)] = web.stream()
    assert isinstance(event, wire.AskedAgain)
    question = event.question.question
    assert (question.purpose, question.informativeness, event.question.desk) == (Purpose.REVIEW, 1.0, "pairs")
    web.post_question(question, 77)
    assert acted(lead, f"{OVERVIEW}/pairs", **pair) == 409
    assert "stands open in Label Studio" in lead.get(REVIEW).text
    assert len(web.stream()) == 1


def test_groups_are_merged_and_parted_and_it_is_undone(web: WebSide) -> None:
    """From ticks; the list says what was done, with a button to undo it, which viewers have not."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    assert lead.get(GROUPS).text.count('type="checkbox"') == 2 and 'type="checkbox"' not in viewer.get(GROUPS).text
    assert acted(lead, f"{OVERVIEW}/merge", group=[SAMPLES[7]]) == 400
    assert acted(viewer, f"{OVERVIEW}/merge", group=[SAMPLES[7], SAMPLES[0]]) == 403
    assert acted(lead, f"{OVERVIEW}/merge", group=[SAMPLES[7], SAMPLES[0]]) == 303
    assert acted(lead, f"{GROUP}/split", sample=[SAMPLES[3], SAMPLES[2]], act="remove") == 303
    removed, merged = web.stores.decisions(PROJECT).all()
    assert merged.about == (SAMPLES[0], SAMPLES[7]) and merged.said == ((SAMPLES[7], SAMPLES[0], Verdict.SAME),)
    assert {(SAMPLES[2], SAMPLES[1], Verdict.DIFFERENT), (SAMPLES[3], SAMPLES[0], Verdict.DIFFERENT)} < set(
        removed.said
    )
    page = lead.get(GROUPS).text
    assert "2 groups are one" in page and "2 samples taken out of a group" in page
    assert page.count("/undo") == 2 and "/undo" not in viewer.get(GROUPS).text
    undo = f"{OVERVIEW}/decisions/{merged.number}/undo"
    assert acted(viewer, undo) == 403
    assert acted(lead, undo) == 303 and acted(lead, undo) == 409
    assert acted(lead, f"{OVERVIEW}/decisions/5/undo") == 404
    assert lead.get(GROUPS).text.count("/undo") == 1


def test_a_revision_of_an_earlier_release_shows_what_there_is(web: WebSide) -> None:
    """Without the files that say why: groups and neighbours, and nothing to decide."""
    web.revision([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    client = entered(web, "lead")
    assert "No answers lead there" in client.get(sample(2)).text
    assert "No answers contradict" in client.get(REVIEW).text
    assert acted(client, f"{OVERVIEW}/merge", group=[SAMPLES[7], SAMPLES[0]]) == 404


def test_the_same_by_command(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each act and each view, with --json; groups go by their names too."""
    for name, value in {"PAL_HOME": web.settings.home, "REDIS_URL": web.settings.redis_url}.items():
        monkeypatch.setenv(name, str(value))
    grouping = web.stores.revisions(PROJECT).grouping()
    assert grouping is not None
    web.stores.names(PROJECT).give(SAMPLES[7], "sevens", 1.0, grouping)

    def pal(*arguments: str) -> object:
        found = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
        assert found.exit_code == 0, found.output
        CliRunner().invoke(app, arguments, catch_exceptions=True)
        return json.loads(found.stdout)

    merged = pal("merge", "sevens", SAMPLES[0])
    assert isinstance(merged, dict) and merged["act"] == "merge" and merged["about"] == [SAMPLES[0], SAMPLES[7]]
    assert pal("split", SAMPLES[0], SAMPLES[2], "--apart")["act"] == "remove"  # type: ignore[index]
    assert pal("settle", SAMPLES[2], SAMPLES[3], "same")["said"] == [[SAMPLES[2], SAMPLES[3], "same"]]  # type: ignore[index]
    assert set(pal("settle", SAMPLES[2], SAMPLES[3], "ask")) == {"question"}  # type: ignore[call-overload]
    assert pal("decisions", "--undo", str(merged["number"]))["undone_at"]  # type: ignore[index]
    assert len(pal("decisions")) == 6  # type: ignore[arg-type]  # each act was done twice
    assert pal("review")["total"] == 1  # type: ignore[index]
    assert [pair["says"] for pair in pal("why", SAMPLES[2])["chain"]] == ["same", "same"]  # type: ignore[index]
