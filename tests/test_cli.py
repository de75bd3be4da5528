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

from pal_backend.cli import EXIT_CODES, app
from pal_backend.core.recipes import RECIPES
from pal_backend.credentials import Credentials
from pal_backend.errors import PalError
from pal_backend.passwords import matches
from pal_backend.settings import Settings
from tests.command_line import pal
from tests.conftest import free_port

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
