"""The command line: help, flags, exit codes, one line for each error."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pal_backend.cli import EXIT_CODES, app
from pal_backend.core.paying import Effort, Outlook, Person
from pal_backend.core.posterior import Posterior
from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict
from pal_backend.core.recipes import RECIPES
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.credentials import Credentials
from pal_backend.errors import InputError, PalError
from pal_backend.passwords import matches
from pal_backend.pool_folder import FolderPool
from pal_backend.samples import ingest
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from tests.command_line import pal
from tests.conftest import free_port
from tests.exports.house import build_house, said

COMMANDS = (
    "demo",
    "serve",
    "password",
    "init",
    "sync",
    "status",
    "export",
    "import-answers",
    "doctor",
    "simulate",
    "strategies",
    "recipes",
    "train",
    "evaluate",
    "rotate-media",
    "pause",
    "resume",
    "set",
    "version",
)


@pytest.fixture
def digits(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a small set of features and labels."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    np.save(tmp_path / "X.npy", rng.normal(size=(60, 4)) * 0.1 + np.eye(3, 4)[labels])
    np.save(tmp_path / "y.npy", labels)
    return ("--features", str(tmp_path / "X.npy"), "--labels", str(tmp_path / "y.npy"))


def test_help_names_every_command() -> None:
    """`pal --help` shows what there is, and the exit codes."""
    done = pal("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", done.stdout)
    assert "Exit codes: 0 done" in done.stdout


def test_help_is_quick() -> None:
    """Help and the parsing of every command import nothing heavy."""
    code = (
        "import sys, runpy\n"
        "sys.argv = ['pal', '--help']\n"
        "try:\n    runpy.run_module('pal_backend.cli', run_name='__main__')\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'label_studio_sdk', 'sklearn', 'scipy', 'numpy', 'rq', 'redis', 'fastapi', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_exit_codes_of_help_are_those_of_the_errors() -> None:
    """Whatever error exists, its exit code stands in the epilog."""
    documented = {int(number) for number in re.findall(r"(\d+) [a-zR]", EXIT_CODES)}
    assert {error.exit_code for error in PalError.__subclasses__()} <= documented
    assert app.info.epilog == EXIT_CODES
    assert all(command.epilog == EXIT_CODES for command in app.registered_commands)


def test_an_error_is_one_line_on_stderr(tmp_path: Path) -> None:
    """No Redis: exit code 6, what was found and what to do, no traceback, nothing on stdout."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = pal("status", env={"REDIS_URL": f"redis://127.0.0.1:{port}/0", "PAL_HOME": str(tmp_path)})
    assert done.returncode == 6
    assert done.stdout == ""
    assert done.stderr.startswith(f"pal: no Redis answers at 127.0.0.1:{port}")
    assert len(done.stderr.splitlines()) == 1


def test_debug_shows_where(tmp_path: Path) -> None:
    """With --debug the same failure comes with its traceback."""
    done = pal("--debug", "simulate", "--features", str(tmp_path / "no.npy"), "--labels", "no.npy")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_a_wrong_setting_is_named() -> None:
    """A variable that cannot be used: exit code 7 and its name."""
    done = pal("status", env={"PORT": "many"})
    assert done.returncode == 7
    assert "PORT='many'" in done.stderr


def test_an_unknown_flag_is_refused() -> None:
    """A flag that is not there: exit code 2 and a hint at the help."""
    done = pal("status", "--colour")
    assert done.returncode == 2
    assert "No such option" in done.stderr


def test_version_is_one_line() -> None:
    """`pal version` prints one line, for people or for programs."""
    done = pal("version")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(pal("version", "--json").stdout).keys() == {"version"}


def test_status_of_an_empty_installation(redis_url: str, tmp_path: Path) -> None:
    """Without any project the way to one is told."""
    done = pal("status", env={"REDIS_URL": redis_url, "PAL_HOME": str(tmp_path)})
    assert done.returncode == 4
    assert "`pal init NAME --images FOLDER`" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--pool", "nowhere"),
            "is no pool; expected a folder, FILE.csv, FILE.jsonl, s3://bucket/prefix or label-studio:ID",
        ),
        (("--pool", "bad.csv"), "line 3 of"),
        (("--pool", "bad.csv", "--images", "."), "--images and --pool both say"),
        (("--pool", "label-studio:birds"), "expected label-studio:ID"),
    ],
)
def test_init_says_what_is_wrong_with_a_pool(
    redis_url: str, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    """Before anything is made."""
    (tmp_path / "bad.csv").write_text("path,id\na.png,1\nb.png\n")
    said = [str(tmp_path / part) if part in ("bad.csv", ".") else part for part in options]
    done = pal("init", "birds", *said, env={"REDIS_URL": redis_url, "PAL_HOME": str(tmp_path / "home")})
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "home" / "projects").exists()


def test_init_without_images_says_what_is_missing(redis_url: str, tmp_path: Path) -> None:
    """A new project needs a folder; nothing is created."""
    done = pal("init", "birds", env={"REDIS_URL": redis_url, "PAL_HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "there is no project 'birds' yet" in done.stderr
    assert not (tmp_path / "projects").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--recipe", "best"), "there is no recipe 'best'; expected one of: simclr"),
        (("--backbone", "torchvision:resnet19"), "expected one such as resnet18"),
        (("--backbone", "no_such.module:make"), "cannot be imported"),
        (("--tuning", "frozen"), "tuning frozen of small without weights"),
        (("--backbone", "torchvision:resnet18", "--weights", "none.pth"), "none.pth cannot be found here"),
        (("--backbone", "features:none.npy"), "none.npy cannot be found here"),
    ],
)
def test_init_refuses_a_way_to_learn_before_anything_is_made(
    redis_url: str, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """Unknown names, missing files and parts that do not go together; Label Studio is not even asked."""
    env = {"REDIS_URL": redis_url, "PAL_HOME": str(tmp_path / "home")}
    done = pal("init", "birds", "--images", str(tmp_path), *options, env=env)
    assert done.returncode in (2, 4, 7), done.stderr
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "home/projects").exists()


def test_init_takes_a_way_to_learn_that_can_be_used(redis_url: str, tmp_path: Path) -> None:
    """A network that can be made passes; it is Label Studio that is missing here."""
    nobody = f"http://127.0.0.1:{free_port()}"
    env = {"REDIS_URL": redis_url, "PAL_HOME": str(tmp_path / "home"), "LABEL_STUDIO_URL": nobody}
    env["LABEL_STUDIO_API_KEY"] = "token"
    options = ("--backbone", "torchvision:resnet18", "--recipe", "gps-simclr", "--tuning", "full")
    done = pal("init", "birds", "--images", str(tmp_path), *options, env=env)
    assert done.returncode == 6, done.stderr
    assert "Label Studio" in done.stderr


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


def test_strategies_are_listed() -> None:
    """One line each with the paper, the default marked; --json has the same in one object."""
    done = pal("strategies")
    assert done.returncode == 0, done.stderr
    listed = json.loads(pal("strategies", "--json").stdout)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [each["name"] for each in listed["strategies"]]
    assert all(each["summary"] in line for each, line in zip(listed["strategies"], lines, strict=True))
    assert [line.split()[0] for line in lines if line.endswith("the default]")] == [listed["default"]]
    assert listed["strategies"][0].keys() == {"name", "summary", "source", "package", "problem"}
    assert "arXiv 2303.15256" in next(line for line in lines if line.startswith("pal-anchor"))


def test_recipes_are_listed() -> None:
    """Each with what it is for, the four columns of the table, its paper and what differs; --json has every field."""
    done, listed = pal("recipes"), json.loads(pal("recipes", "--json").stdout)
    assert done.returncode == 0, done.stderr
    assert listed["default"] == "simclr"
    assert [each["name"] for each in listed["recipes"]] == list(RECIPES)
    for each in listed["recipes"]:
        assert f"{each['name']}{' [the default]' if each['name'] == 'simclr' else ''}: {each['about']}" in done.stdout
        assert each["table"].keys() == {"loss", "prior", "batch", "asking"}
        assert all(f"{name}: {words}" in done.stdout for name, words in each["table"].items())
        assert f"after {each['source']}; here {each['differs']}" in done.stdout


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


def test_demo_with_a_taken_port_starts_nothing(tmp_path: Path) -> None:
    """The port, who wanted it and the option that changes it, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = pal("demo", "--home", str(tmp_path / "pal"), "--label-studio-port", str(port))
    assert done.returncode == 5
    assert f"{port} (for Label Studio; another: --label-studio-port N" in done.stderr
    assert not (tmp_path / "pal" / "logs").exists()


def test_demo_refuses_images_that_cannot_be_answered(tmp_path: Path) -> None:
    """A simulated annotator needs a sub-folder a class, and that is said before anything is started."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    ports = ("--port", "1", "--label-studio-port", "2", "--redis-port", "3")
    done = pal("demo", "--home", str(tmp_path / "pal"), "--images", str(tmp_path / "images"), "--answers", "3", *ports)
    assert done.returncode == 2
    assert "one sub-folder for each class" in done.stderr


def test_a_password_is_printed_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    """A new one for each call, and none after it was removed; the other role's stays."""
    settings = Settings(home=tmp_path)
    env = {"PAL_HOME": str(tmp_path)}
    lead = pal("password", "lead", env=env).stdout.strip()
    told = json.loads(pal("password", "viewer", "--json", env=env).stdout)
    viewer = told["password"]
    assert told["role"] == "viewer"
    kept = Credentials.kept(settings)
    assert matches(lead, kept.lead_password) and matches(viewer, kept.viewer_password)
    assert lead not in (tmp_path / "secrets.json").read_text()
    assert pal("password", "viewer", "--remove", env=env).returncode == 0
    kept = Credentials.kept(settings)
    assert kept.viewer_password == "" and matches(lead, kept.lead_password)


def test_ctrl_c_is_not_a_fault(tmp_path: Path) -> None:
    """Interrupted: exit code 130 and one line."""
    code = (
        "import os, signal, time\n"
        "from pal_backend import cli, simulation\n"
        # the signal may come in by another thread, a moment later
        "simulation.simulate = lambda *a, **k: (os.kill(os.getpid(), signal.SIGINT), time.sleep(60))\n"
        "cli.main()\n"
    )
    np.save(tmp_path / "X.npy", np.zeros((4, 2)))
    arguments = ["simulate", "--features", str(tmp_path / "X.npy"), "--labels", str(tmp_path / "X.npy")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert "Traceback" not in done.stderr


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


def test_sync_cannot_accept_and_keep() -> None:
    """The two decisions exclude each other."""
    done = pal("sync", "--accept-deletions", "--keep")
    assert done.returncode == 2
    assert "give one of them" in done.stderr


def test_doctor_without_redis_finds_it(settings: Settings) -> None:
    """Exit code 1, and the finding says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = pal("doctor", env={"REDIS_URL": f"redis://127.0.0.1:{port}/0", "PAL_HOME": str(settings.home)})
    assert done.returncode == 1, done.stderr
    assert "✗" in done.stdout
    assert "→" in done.stdout
