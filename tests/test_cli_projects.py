"""`pal status`, `pal export` and `pal import-answers` of projects that there are."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pal_backend.core.paying import Effort, Outlook, Person
from pal_backend.core.posterior import Posterior
from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.errors import InputError
from pal_backend.pool_folder import FolderPool
from pal_backend.samples import ingest
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from tests.command_line import pal
from tests.exports.house import build_house, said


def test_status_of_an_empty_installation(redis_url: str, tmp_path: Path) -> None:
    """Without any project the way to one is told."""
    done = pal("status", env={"REDIS_URL": redis_url, "PAL_HOME": str(tmp_path)})
    assert done.returncode == 4
    assert "`pal init NAME --images FOLDER`" in done.stderr


def test_status_and_export_of_a_project(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    """A table for people, one object for programs, and a row for every file, before anything was learned."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for shade in (10, 200):
        Image.new("L", (16, 16), shade).save(pool / f"{shade}.png")
    (pool / "broken.png").write_bytes(b"no image")
    stores.projects.save(Project("birds", str(pool), (Desk("pairs", QuestionKind.PAIR, 7, 1, 1),)))
    ingest(FolderPool(pool), stores.artefacts, "birds", settings.image_size)
    env = {"REDIS_URL": settings.redis_url, "PAL_HOME": str(settings.home)}

    table = pal("status", env=env)
    assert table.returncode == 0, table.stderr
    assert "Label Studio project 7" in table.stdout
    assert "start one with `python -m worker`" in table.stdout
    assert "broken.png: " in table.stdout
    assert "recipe simclr (default)" in table.stdout
    assert "backbone small (default)" in table.stdout
    assert "tuning full (default)" in table.stdout

    found = json.loads(pal("status", "birds", "--json", env=env).stdout)
    assert (found["project"], found["annotations"], found["quarantined"], found["jobs"]) == ("birds", 0, 1, [])

    done = pal("export", "--format", "jsonl", "--out", str(tmp_path / "groups.jsonl"), env=env)
    assert done.stdout == f"2 rows in {tmp_path / 'groups.jsonl'}\n"
    told = json.loads(pal("export", "--out", str(tmp_path / "groups.csv"), "--json", env=env).stdout)
    assert (told["project"], told["holds"], told["out"]) == ("birds", "2 rows", str(tmp_path / "groups.csv"))
    rows = [json.loads(line) for line in (tmp_path / "groups.jsonl").read_text().splitlines()]
    assert [(row["path"], row["group"], row["answered"]) for row in rows] == [
        ("10.png", "", False),
        ("200.png", "", False),
    ]


def test_answers_go_from_project_to_project(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    """Out by one command, in by another, listed and out again; without a file the command says what it wants."""
    house = build_house(stores, tmp_path / "pool", samples=20)
    stores.answers("digits").put(said(house, 10))
    build_house(stores, tmp_path / "pool", "finches", samples=20)
    env = {"REDIS_URL": settings.redis_url, "PAL_HOME": str(settings.home)}
    file = tmp_path / "answers.jsonl"
    done = pal("export", "digits", "--format", "answers", "--out", str(file), "--json", env=env)
    assert json.loads(done.stdout)["holds"] == "11 annotations, 10 answers"
    taken = json.loads(pal("import-answers", str(file), "--project", "finches", "--json", env=env).stdout)
    assert (taken["new"], taken["answers"]) == (11, 10)
    assert pal("import-answers", "--list", "--project", "finches", env=env).stdout.startswith(taken["id"])
    removed = pal("import-answers", "--remove", taken["id"], "--project", "finches", env=env)
    assert removed.returncode == 0 and taken["id"] in removed.stdout
    assert pal("import-answers", "--project", "finches", env=env).returncode == InputError.exit_code
    both = pal("export", "digits", "--to-label-studio", "new", "--format", "csv", env=env)
    assert both.returncode == InputError.exit_code and "writes no file" in both.stderr


def publish(stores: Stores, settings: Settings, posterior: Posterior, effort: Effort | None = None) -> dict[str, str]:
    """Publish a revision of the project birds; returns the environment in which `pal` finds it."""
    lease = stores.sittings("birds").take("test", 10)
    assert lease is not None
    stores.revisions("birds").publish(
        posterior, version="v0000", answers=1, contradictions=[], lease=lease, now=1.0, effort=effort
    )
    return {"REDIS_URL": settings.redis_url, "PAL_HOME": str(settings.home)}


def test_status_says_how_good_the_groups_are_and_when_to_stop(stores: Stores, settings: Settings) -> None:
    """Accuracy and what is to come in plain words, each stopping rule in a line; --json has the figures."""
    stores.projects.save(Project("birds", "/pool", (Desk("pairs", QuestionKind.PAIR, 7, 1, 1),)))
    quality = Quality(
        Accuracy(0.942, 0.897, 0.971, 52),
        0.0149,
        (
            StoppingVerdict("checks-agree", False, 0.9, 0.95, "47 of 52 checks agree."),
            StoppingVerdict("worth", True, 0.001, 0.005, "Hardly worth it."),
        ),
    )
    ids = ("0" * 16, "1" * 16)
    empty = (np.zeros((2, 0), np.float32), -np.ones(2, np.int32), np.zeros((0, 2), np.int32))
    env = publish(stores, settings, Posterior(ids, (), *empty, quality=quality))

    table = pal("status", env=env).stdout
    assert "About 94 % of the samples are in the right group (90-97 %, from 52 checks)." in table
    assert "The next hundred answers should bring about 1.5 points." in table
    assert "1 of 2 rules say that one may stop" in table
    assert "✓ Hardly worth it." in table and "· 47 of 52 checks agree." in table

    found = json.loads(pal("status", "--json", env=env).stdout)["quality"]
    assert found["accuracy"] == {"estimate": 0.942, "low": 0.897, "high": 0.971, "checks": 52}
    assert found["next_hundred"] == 0.0149
    assert [(rule["name"], rule["met"]) for rule in found["stopping"]] == [("checks-agree", False), ("worth", True)]


def test_status_says_which_desk_pays_and_who_answered(stores: Stores, settings: Settings) -> None:
    """The table has a sentence and a line a person, the object the figures behind them."""
    desks = (Desk("pairs", QuestionKind.PAIR, 7, 1, 1), Desk("screens", QuestionKind.SCREEN, 8, 2, 2))
    stores.projects.save(Project("birds", "/pool", desks))
    ids = ("0" * 16, "1" * 16)
    posterior = Posterior(ids, (), np.zeros((2, 0), np.float32), -np.ones(2, np.int32), np.zeros((0, 2), np.int32))
    effort = Effort(
        {QuestionKind.PAIR: Outlook(4.0, 120, 3, 8, 1.0, 1.0), QuestionKind.SCREEN: Outlook(12.0, 34, 0, 2, 5.4, 8.0)},
        (Person("7", 392, 0.031, {QuestionKind.PAIR: 3.9, QuestionKind.SCREEN: 11.6}), Person("", 1, None)),
        0.1,
    )
    env = publish(stores, settings, posterior, effort)

    table = pal("status", env=env).stdout
    assert "pays now" in table and "screens: it gains 1.8 times as much a second as pairs" in table
    assert "4.0 s an answer (120 questions timed)" in table and "1.5 s an answer (34 questions timed)" in table
    assert "7: 392 answers, about 3% wrong, 3.9 s a pair, 11.6 s a screen" in table
    assert "not known: 1 answer " in table

    found = json.loads(pal("status", "--json", env=env).stdout)
    assert {key: found["advice"][key] for key in ("verdict", "desks")} == {"verdict": "pays", "desks": ["screens"]}
    assert found["advice"]["factor"] == pytest.approx(1.8)
    assert [desk["seconds_per_question"] for desk in found["desks"]] == [4.0, 12.0]
    assert [desk["seconds_per_answer"] for desk in found["desks"]] == [4.0, 1.5]
    assert [desk["gain_per_second"] for desk in found["desks"]] == pytest.approx([0.25, 0.45])
    assert found["annotators"][0] == {
        "name": "7",
        "answers": 392,
        "error_rate": 0.031,
        "median_seconds": {"pair": 3.9, "screen": 11.6},
    }


def test_several_projects_must_be_told_apart(stores: Stores, settings: Settings) -> None:
    """Without a name the projects there are get listed."""
    for name in ("birds", "cats"):
        stores.projects.save(Project(name, "/pool", ()))
    done = pal("status", env={"REDIS_URL": settings.redis_url, "PAL_HOME": str(settings.home)})
    assert done.returncode == 2
    assert "there are several projects: birds, cats; say which" in done.stderr
