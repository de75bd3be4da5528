"""The comparison of ways of asking: what is run, how it is scored, what is printed and drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import questions, questions_runs
from benchmarks.ablations import ABLATIONS, no_influence
from benchmarks.data import Dataset
from benchmarks.questions_plot import picture
from benchmarks.questions_runs import Job, matching, run_all, run_job
from benchmarks.questions_tables import point_at, short, summaries, worth


@pytest.fixture(scope="module")
def blobs() -> Dataset:
    """Four clusters of twenty."""
    labels = np.repeat(np.arange(4), 20)
    noise = np.random.default_rng(0).standard_normal((80, 4))
    return Dataset("blobs", (np.eye(4)[labels] + 0.15 * noise).astype(np.float32), labels)


@pytest.fixture
def files(tmp_path: Path, blobs: Dataset) -> Iterator[list[str]]:
    """The options that name the clusters' files."""
    np.save(tmp_path / "blobs.npy", blobs.features)
    np.save(tmp_path / "classes.npy", blobs.labels)
    yield ["--features", str(tmp_path / "blobs.npy"), "--labels", str(tmp_path / "classes.npy"), "--workers", "1"]


def job(strategy: str = "ours", seed: int = 0, error: float = 0.0, **more: Any) -> Job:
    return Job("blobs", error, strategy, seed, more.pop("answers", 30), more.pop("budgets", (10, 20, 30)), **more)


def run(seed: int, ari: list[float], strategy: str = "ours", without: str = "", **more: Any) -> dict[str, Any]:
    """A finished run with these ARI after 10, 20, … answers."""
    names = ("ari", "ari_unseen", "nmi", "accuracy")
    curve = [
        {"answers": 10 * (i + 1), "screens": 10 * (i + 1), "groups": 4 + seed} | dict.fromkeys(names, value)
        for i, value in enumerate(ari)
    ]
    made = {"data": "blobs", "error_rate": 0.05, "strategy": strategy, "without": without, "seed": seed}
    reach = {"0.8": 10 * (seed + 1), "0.9": None if seed else 20}
    budgets = {"budgets": [10, 20, 30], "answers": 30, "curve": curve, "reach": reach, "ms_per_question": 2.0}
    return made | budgets | more


@pytest.mark.parametrize("strategy", ["ours", "ours:random", "repspread", "minmax", "random"])
def test_every_way_is_run_alike(strategy: str, blobs: Dataset) -> None:
    """The same figures at the same budgets, the same for the same seed; easy clusters come out right."""
    found = run_job(job(strategy, error=0.05), blobs)
    assert [point["answers"] for point in found["curve"]] == [10, 20, 30]
    assert set(found) >= {"data", "error_rate", "strategy", "seed", "curve", "reach", "ms_per_question"}
    assert json.loads(json.dumps(found)) == found
    again = run_job(job(strategy, error=0.05), blobs)
    assert again["curve"] == found["curve"] and again["reach"] == found["reach"]
    if strategy != "ours:random":
        assert found["curve"][-1]["ari"] > 0.5


def test_a_peers_annotator_errs_as_often_as_told(blobs: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer in ten is wrong, and samples that were in a question do not count as never shown."""
    told = []

    class Spy:
        def ask(self) -> tuple[int, int]:
            return 0, 1

        def tell(self, same: bool) -> None:
            told.append(same)

        def groups(self) -> np.ndarray:
            return np.append([7, 8], blobs.labels[2:])  # wrong on the two that are asked about

    monkeypatch.setattr(questions_runs, "_peer", lambda *_: Spy())
    found = run_job(job("minmax", error=0.1, answers=2000, budgets=()), blobs)
    assert 0.87 < np.mean(told) < 0.93
    assert found["curve"][-1]["ari_unseen"] == 1.0 > found["curve"][-1]["ari"]


def test_options_reach_the_simulation(blobs: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy by name and switched-off ingredients are handed on, and nothing is when there is nothing to hand on."""
    seen = []

    def spy(*_: Any, **given: Any) -> Any:
        seen.append(given)
        return Result()

    class Result:
        @staticmethod
        def to_json() -> dict[str, Any]:
            return {"curve": [], "reach": {}, "ms_per_question": 0.0, "seconds": 0.0}

    monkeypatch.setattr(questions_runs, "simulate", spy)
    run_job(job("ours"), blobs)
    run_job(job("ours:uncertainty", questions="screens", open_questions=3), blobs)
    run_job(job("ours", without="influence"), blobs)
    assert not {"strategy", "space"} & set(seen[0])
    assert (seen[1]["strategy"], seen[1]["questions"], seen[1]["open_questions"]) == ("uncertainty", "screens", 3)
    assert seen[2]["strategy"] is no_influence


def test_processes_give_what_one_process_gives(blobs: Dataset) -> None:
    """In two processes or in this one: the same runs, and the bar ends where it should."""
    jobs = [job(strategy, seed) for strategy in ("repspread", "minmax") for seed in (0, 1)]
    found: dict[int, list[dict[str, Any]]] = {}
    for workers in (1, 2):
        advanced: list[int] = []
        found[workers] = []
        run_all(
            jobs,
            {"blobs": blobs},
            workers=workers,
            progress=lambda more, _, told=advanced: told.append(more),
            finished=found[workers].append,
        )
        assert workers > 1 or sum(advanced) == 4 * 30
    for one in jobs:
        a, b = (matching(found[workers], one) for workers in (1, 2))
        assert a is not None and b is not None and a["curve"] == b["curve"]


def test_seeds_are_summed_up() -> None:
    """Mean, least and most; how many seeds reached a value; a run that ended early stays as it was."""
    found = summaries([run(0, [0.4, 0.6, 0.8]), run(1, [0.6, 0.7])], [10, 30])
    assert found[0]["curve"][0]["ari"] == {"mean": 0.5, "least": 0.4, "most": 0.6}
    assert found[0]["curve"][1]["ari"]["mean"] == pytest.approx(0.75)
    assert found[0]["reach"]["0.8"] == {"seeds_there": 2, "seeds": 2, "mean": 15.0, "least": 10.0, "most": 20.0}
    assert found[0]["reach"]["0.9"]["seeds_there"] == 1
    assert found[0]["groups"] == {"mean": 4.5, "least": 4.0, "most": 5.0} and found[0]["groups_at"] == 30


def test_a_screen_may_overshoot_a_budget() -> None:
    """The first point at or beyond it counts."""
    screens = {"curve": [{"answers": 16, "ari": 0.1}, {"answers": 24, "ari": 0.2}]}
    assert point_at(screens, 16)["ari"] == 0.1
    assert point_at(screens, 20)["ari"] == point_at(screens, 99)["ari"] == 0.2
    assert (short(0.5), short(1.0), short(-0.02)) == (".500", "1.000", "-.020")


def test_what_an_ingredient_is_worth() -> None:
    """ARI with all, less ARI without it."""
    runs = [run(0, [0.5, 0.6, 0.9]), run(0, [0.4, 0.6, 0.95], without="the kernel")]
    console = questions.console()
    with console.capture() as printed:
        console.print(worth(summaries(runs, [10, 30]), "ours"))
    row = next(line for line in printed.get().splitlines() if "the kernel" in line)
    assert "+.100" in row and "-.050" in row


def test_a_picture_has_a_panel_for_each_rate_and_a_curve_for_each_way() -> None:
    """Well-formed, small, in the order of the legend, a band around each curve, nothing outside the frame."""
    ways = ("ours", "repspread", "minmax", "random")
    runs = [
        run(seed, [0.2 + 0.1 * seed, 0.5, 0.9], way, error_rate=rate)
        for way in ways
        for rate in (0.0, 0.05)
        for seed in (0, 1)
    ]
    drawn = picture(runs, [10, 30])
    svg = ElementTree.fromstring(drawn)
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    curves = svg.findall("{*}polyline")
    assert len(curves) == len(svg.findall("{*}polygon")) == 2 * len(ways)
    for shape in svg.iter():
        for x, y in (point.split(",") for point in shape.get("points", "").split()):
            assert 0 <= float(x) <= width and 0 <= float(y) <= height
    words = [text.text for text in svg.findall("{*}text")]
    assert {*ways, "blobs, no wrong answers", "blobs, 5 % wrong answers"} <= set(words)
    assert len({curve.attrib["stroke"] for curve in curves}) == len(ways)
    assert "prefers-color-scheme: dark" in drawn and len(drawn) < 100_000


def test_the_command_prints_draws_and_takes_up_again(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, then JSON, then the same from the JSON without running anything."""
    short_ones = [
        *files,
        "--errors",
        "0,.1",
        "--seeds",
        "0-1",
        "--budgets",
        "10,20",
        "--strategies",
        "repspread,random",
    ]
    questions.main([*short_ones, "--svg", str(tmp_path / "drawn")])
    printed = capsys.readouterr().out
    assert "blobs, 10 % wrong, seeds 0, 1" in printed and "never shown" in printed and "ms a question" in printed
    drawn = (tmp_path / "drawn" / "questions-blobs.svg").read_text()

    questions.main([*short_ones, "--json"])
    body = json.loads(capsys.readouterr().out)
    assert len(body["runs"]) == 8 and len(body["summary"]) == 4
    assert [point["budget"] for point in body["summary"][0]["curve"]] == [10, 20]
    (tmp_path / "runs.json").write_text(json.dumps(body))

    monkeypatch.setattr(questions_runs, "run_job", None)
    questions.main([*short_ones, "--reuse", str(tmp_path / "runs.json"), "--svg", str(tmp_path / "again"), "--json"])
    assert json.loads(capsys.readouterr().out)["runs"] == body["runs"]
    assert (tmp_path / "again" / "questions-blobs.svg").read_text() == drawn


def test_ingredients_are_switched_off_in_turn(files: list[str]) -> None:
    """One job for all together and one for each."""
    options = questions.parser().parse_args([*files, "--ablate", "--errors", "0", "--seeds", "0"])
    jobs = questions.plan(options, ["blobs"])
    assert [(one.strategy, one.without) for one in jobs] == [("ours", ""), *(("ours", name) for name in ABLATIONS)]


@pytest.mark.parametrize("name", ABLATIONS)
def test_with_any_switch_off_questions_are_asked(name: str, blobs: Dataset) -> None:
    """Every switch still asks its way to groups."""
    off = run_job(job("ours", without=name, answers=60, budgets=()), blobs)
    assert off["curve"][-1]["answers"] == 60


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--errors", "0,.7"], "less than 0.5"),
        (["--budgets", "0"], "above 0"),
        (["--seeds", "a"], "invalid"),
        (["--strategies", "ours,maxmin"], "minmax"),
        (["--sets", "digit"], "digits"),
        (["--features", "x.npy"], "give both"),
    ],
)
def test_mistakes_are_told(wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what would have been right."""
    with pytest.raises(SystemExit) as stopped:
        questions.main(wrong)
    assert told in capsys.readouterr().err + str(stopped.value)


def test_numbers_and_ranges() -> None:
    """0-2,7 is four seeds."""
    assert questions.numbers("0-2,7") == [0, 1, 2, 7]
    assert questions.budgets("200,50") == [50, 200]
