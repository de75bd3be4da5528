"""``pal simulate``'s loop: reproducible, honest about labels, refusing what makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pal_backend.cli_simulate import simulate as command
from pal_backend.errors import InputError
from pal_backend.simulation import simulate
from tests.core.worlds import clusters

SPACE, LABELS = clusters(groups=4, each=25)


def test_it_learns_and_reports() -> None:
    """Sixty right answers find four easy clusters, and the JSON has every figure at every budget."""
    seen: list[tuple[int, int]] = []
    result = simulate(
        SPACE.features, LABELS, answers=60, budgets=(20, 40, 500), progress=lambda a, b: seen.append((a, b))
    )
    body = json.loads(json.dumps(result.to_json()))
    assert [point["answers"] for point in body["curve"]] == [20, 40, 60]
    assert set(body["curve"][0]) >= {"answers", "screens", "seconds", "ari", "ari_unseen", "nmi", "accuracy", "groups"}
    assert set(body["reach"]) == set(body["reach_seconds"]) == {"0.8", "0.9", "0.95"}
    assert body["curve"][0]["seconds"] == 80.0 and body["reach_seconds"]["0.9"] == 4.0 * body["reach"]["0.9"]
    assert body["curve"][-1]["ari"] > 0.9 and body["reach"]["0.9"] <= 60
    assert seen[-1] == (60, 60)


def test_the_same_seed_gives_the_same_curve() -> None:
    """Nothing but the seed decides, wrong answers and open questions included."""
    one, two = (
        simulate(SPACE.features, LABELS, answers=40, error_rate=0.1, seed=5, open_questions=4, budgets=(10, 20))
        for _ in range(2)
    )
    assert one.curve == two.curve


def test_screens_count_their_candidates() -> None:
    """A screen of five gives five answers."""
    result = simulate(SPACE.features, LABELS, answers=50, questions="screens", candidates=5)
    assert result.curve[-1].answers >= 50 > result.curve[-1].screens


def test_mixed_asks_what_pays() -> None:
    """Where screens cost next to nothing only screens are asked, where pairs do only pairs, by any number open."""
    for open_questions in (1, 3):
        mixed = {"answers": 40, "questions": "mixed", "candidates": 4, "open_questions": open_questions}
        screens = simulate(SPACE.features, LABELS, seconds_per_pair=1000.0, **mixed)  # type: ignore[arg-type]
        assert screens.curve[-1].screens <= 15
        pairs = simulate(SPACE.features, LABELS, seconds_per_screen=1000.0, **mixed)  # type: ignore[arg-type]
        assert pairs.curve[-1].screens == 40


def test_points_tell_what_the_checks_say() -> None:
    """Nothing before there are checks; then an estimate within its interval, which holds the truth, and the number."""
    result = simulate(SPACE.features, LABELS, answers=90, budgets=(20, 60))
    before, early, late = result.curve
    assert (before.checks, before.estimated, before.next_hundred) == (0, None, None)
    assert 0 < early.checks < late.checks <= 5
    for point in (early, late):
        assert point.estimated is not None and point.low is not None and point.high is not None
        assert point.low <= point.estimated <= point.high
        assert point.low <= point.accuracy <= point.high
        assert point.next_hundred is not None and 0.0 <= point.next_hundred <= 1.0


def test_names_of_the_classes_are_never_told() -> None:
    """Renamed labels give the very same curve: the learner sees verdicts only."""
    plain = simulate(SPACE.features, LABELS, answers=30, budgets=(10,))
    assert simulate(SPACE.features, 100 - 7 * LABELS, answers=30, budgets=(10,)).curve == plain.curve


def test_it_stops_when_nothing_is_left_to_ask() -> None:
    """Two samples make one question; the loop ends, and the last point tells how many answers there were."""
    result = simulate(np.eye(2), np.asarray([0, 1]), answers=50, strategy="random")
    assert result.curve[-1].answers < 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error_rate": 0.5}, "error rate"),
        ({"answers": 0}, "answers"),
        ({"questions": "riddles"}, "pairs or screens"),
        ({"open_questions": 0}, "open questions"),
        ({"seconds_per_screen": -1.0}, "seconds for a screen"),
        ({"seconds_per_pair": float("nan")}, "seconds for a pair"),
        ({"labels": LABELS[:-1]}, "do not fit"),
        ({"features": np.full_like(SPACE.features, np.nan)}, "finite"),
        ({"strategy": "best"}, "gain"),
    ],
)
def test_senseless_arguments_are_refused(change: dict[str, object], words: str) -> None:
    """Each with a sentence that says what was expected."""
    arguments = {"features": SPACE.features, "labels": LABELS, **change}
    with pytest.raises(InputError, match=words):
        simulate(**arguments)  # type: ignore[arg-type]


@pytest.mark.slow
def test_digits_reach_what_is_promised() -> None:
    """On scikit-learn's digits a hundred right answers are enough for an ARI of .9."""
    data = load_digits()
    result = simulate(data.data / 16.0, data.target, answers=100)
    assert result.curve[-1].ari >= 0.9


@pytest.mark.parametrize(
    ("said", "asks"),
    [({}, "gain"), ({"recipe": "mobyv2al"}, "k-centre"), ({"recipe": "mobyv2al", "strategy": "gain"}, "gain")],
)
def test_a_recipe_asks_in_its_own_way_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], asks: str
) -> None:
    """`pal simulate --recipe NAME` asks as the table of recipes says."""
    np.save(tmp_path / "x.npy", SPACE.features)
    np.save(tmp_path / "y.npy", LABELS)
    seen: list[str] = []

    def run(*_: object, strategy: str, **others: object) -> object:
        seen.append(strategy)
        return simulate(SPACE.features, LABELS, answers=1)

    monkeypatch.setattr("pal_backend.simulation.simulate", run)
    command(features=tmp_path / "x.npy", labels=tmp_path / "y.npy", as_json=True, **said)  # type: ignore[arg-type]
    assert seen == [asks]
