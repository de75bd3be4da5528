"""`pal simulate` and the strategies it takes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import pal


@pytest.fixture
def digits(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a small set of features and labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    np.save(tmp_path / "X.npy", rng.normal(size=(60, 4)) * 0.1 + np.eye(3, 4)[labels])
    np.save(tmp_path / "y.npy", labels)
    return ("--features", str(tmp_path / "X.npy"), "--labels", str(tmp_path / "y.npy"))


def test_simulate_prints_one_object(digits: tuple[str, ...]) -> None:
    """`pal simulate --json` prints one JSON object with the curve at every budget, and progress goes elsewhere."""
    done = pal("simulate", *digits, "--answers", "20", "--budgets", "5,10", "--error-rate", "0.05", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result.keys() == {"curve", "reach", "reach_seconds", "ms_per_question", "seconds"}
    assert [point["answers"] for point in result["curve"]] == [5, 10, 20]
    scores = {"ari", "ari_unseen", "nmi", "accuracy", "groups"}
    assert result["curve"][0].keys() >= {"answers", "screens", "seconds"} | scores
    assert result["reach"].keys() == {"0.8", "0.9", "0.95"}


def test_simulate_asks_screens_with_many_open(digits: tuple[str, ...]) -> None:
    """Every flag of the planning bench works together."""
    flags = (
        "--questions",
        "screens",
        "--candidates",
        "4",
        "--open-questions",
        "3",
        "--strategy",
        "gain",
        "--seed",
        "1",
    )
    done = pal("simulate", *digits, "--answers", "20", *flags, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["curve"][-1]["screens"] == 5


def test_simulate_takes_another_second_opinion(digits: tuple[str, ...]) -> None:
    """`--opinion solver` runs the loop to its end; a name that is none is refused with those there are."""
    done = pal("simulate", *digits, "--answers", "20", "--opinion", "solver", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["curve"][-1]["answers"] == 20
    wrong = pal("simulate", *digits, "--opinion", "mine")
    assert wrong.returncode == 2
    assert "kernel" in wrong.stderr and "solver" in wrong.stderr


def test_simulate_counts_a_persons_time(digits: tuple[str, ...]) -> None:
    """Seconds of a person's time come with every point, and may be told; both kinds may be mixed."""
    flags = ("--questions", "mixed", "--candidates", "4", "--seconds-per-pair", "3", "--seconds-per-screen", "6")
    done = pal("simulate", *digits, "--answers", "20", *flags, "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout)["curve"][-1]
    assert 3 * last["screens"] <= last["seconds"] <= 6 * last["screens"]
    wrong = pal("simulate", *digits, "--seconds-per-pair", "0")
    assert wrong.returncode == 2
    assert "seconds for a pair must be above 0" in wrong.stderr


def test_simulate_without_json_is_a_table(digits: tuple[str, ...]) -> None:
    """People get a table and one line on how far it came."""
    done = pal("simulate", *digits, "--answers", "10")
    assert done.returncode == 0, done.stderr
    assert "ARI of samples never shown" in done.stdout
    assert "ms a question" in done.stdout


def test_a_strategy_that_is_not_known_is_refused_where_it_is_given(tmp_path: Path) -> None:
    """`pal init` and `pal simulate` end with exit code 2 and the names there are, before anything else is looked at."""
    environment = {"PAL_HOME": str(tmp_path / "pal"), "REDIS_URL": "redis://127.0.0.1:1/0"}
    for command in (
        ("init", "birds", "--images", "nowhere", "--strategy", "best"),
        ("simulate", "--features", "no.npy", "--labels", "no.npy", "--strategy", "best"),
    ):
        done = pal(*command, env=environment)
        assert done.returncode == 2
        assert (
            "strategy 'best' is not known; use one of gain, k-centre, pal-anchor, pt4al, pt4al-easiest, random"
            in done.stderr
        )
        assert "`pal strategies`" in done.stderr
    assert not (tmp_path / "pal").exists()


def test_a_strategy_that_cannot_be_imported_is_told(tmp_path: Path, digits: tuple[str, ...]) -> None:
    """A package whose module is broken: exit code 7 when its strategy is chosen; listed with the reason, beside ours."""
    about = tmp_path / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pal_backend.strategies]\nbroken = broken:choose\n")
    (tmp_path / "broken.py").write_text("import not_installed\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    done = pal("simulate", *digits, "--strategy", "broken", env=environment)
    assert done.returncode == 7
    assert "strategy 'broken' of broken (broken:choose) cannot be imported: ModuleNotFoundError" in done.stderr
    listed = pal("strategies", env=environment)
    assert listed.returncode == 0
    assert re.search(r"^broken +cannot be used: .*not_installed", listed.stdout, re.MULTILINE)


@pytest.mark.parametrize("budgets", ["many", "10;20"])
def test_simulate_refuses_budgets_that_are_no_numbers(digits: tuple[str, ...], budgets: str) -> None:
    """Exit code 2, the value found and a good one."""
    done = pal("simulate", *digits, "--budgets", budgets)
    assert done.returncode == 2
    assert repr(budgets) in done.stderr
    assert "50,100,200" in done.stderr


def test_simulate_runs_no_code_from_a_file(tmp_path: Path, digits: tuple[str, ...]) -> None:
    """An array of Python objects could run code when it is read: it is refused."""
    np.save(tmp_path / "evil.npy", np.array([{}], dtype=object), allow_pickle=True)
    done = pal("simulate", "--features", str(tmp_path / "evil.npy"), *digits[2:])
    assert done.returncode == 2
    assert "cannot be read as a NumPy array of numbers" in done.stderr
