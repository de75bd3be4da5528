"""`pal demo` as a user runs it: real Label Studio, real Redis, web and worker, from nothing to a scored grouping."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pal_backend.demo.ports import is_free
from tests.label_studio_server import executable

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]
FIELDS = {
    *("answers", "ari", "nmi", "accuracy", "groups", "questions_posted", "model_versions"),
    "median_seconds_webhook_to_revision",
}


@pytest.fixture(scope="module")
def ports() -> list[int]:
    """Three free ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    numbers = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return numbers


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that keeps everything, shared by the tests of this module in their order."""
    return tmp_path_factory.mktemp("demo") / "pal"


def demo(home: Path, ports: list[int], answers: int) -> subprocess.CompletedProcess[str]:
    """Run the demo with a simulated annotator."""
    command = executable()
    if command is None:
        pytest.skip("Label Studio is not installed; `make environments` does it")
    options = {"--port": ports[0], "--label-studio-port": ports[1], "--redis-port": ports[2], "--answers": answers}
    flags = [text for name, value in options.items() for text in (name, str(value))]
    return subprocess.run(
        [sys.executable, "-m", "pal_backend.cli", "demo", "--home", str(home), "--label-studio", str(command), *flags],
        env={**os.environ, "PAL_TRAIN_EPOCHS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
    )


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """The JSON object of the last line."""
    assert done.returncode == 0, done.stderr
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() == FIELDS
    return result


def nothing_left(home: Path, ports: list[int]) -> bool:
    """No process has the folder in its command line or environment, and the ports are free."""
    mark = str(home).encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                return False
        except OSError:
            continue
    return all(map(is_free, ports))


def test_from_nothing_to_a_score(home: Path, ports: list[int]) -> None:
    """Ten answers: one JSON object on stdout, progress on stderr, a trained version or a reason, no process left."""
    done = demo(home, ports, 10)
    result = result_of(done)
    assert result["answers"] == 10
    assert result["model_versions"] >= 2
    assert result["questions_posted"] >= 20
    assert "✓ a question stands in Label Studio" in done.stderr
    assert nothing_left(home, ports)


def test_goes_on_when_only_label_studio_survived(home: Path, ports: list[int]) -> None:
    """Secrets, Redis and artefacts are gone: the account is won back, the desk found again, its answers learned from."""
    for entry in home.iterdir():
        if entry.name != "label-studio":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    done = demo(home, ports, 5)
    assert result_of(done)["answers"] == 15
    assert "projects/1/data" in done.stderr
    assert nothing_left(home, ports)


def test_goes_on_when_only_our_folder_survived(home: Path, ports: list[int]) -> None:
    """Label Studio's data is gone: a new account and a new desk, and the answers stand."""
    shutil.rmtree(home / "label-studio")
    assert result_of(demo(home, ports, 5))["answers"] == 20
    project = json.loads((home / "projects" / "demo" / "project.json").read_text())
    assert [(desk["name"], desk["retired"]) for desk in project["desks"]] == [("pairs", True), ("pairs-2", False)]
    assert nothing_left(home, ports)
