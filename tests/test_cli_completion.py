"""What the shell offers on Tab: names of projects, recipes and backbones, quickly and without a word of complaint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pal_backend import cli_completion


def complete(words: str, **env: str) -> list[str]:
    """What bash offers for the last of these words."""
    asked = {"_PAL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "import sys; from pal_backend.cli import main; sys.argv = ['pal']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked, **env}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A state folder with two projects, and a folder that is none."""
    for name in ("birds", "bats"):
        (tmp_path / f"projects/{name}").mkdir(parents=True)
        (tmp_path / f"projects/{name}/project.json").touch()
    (tmp_path / "projects/beside").mkdir()
    return str(tmp_path)


def test_the_shell_offers_projects(home: str) -> None:
    """Those in the artefact folder that begin so; no Redis is asked."""
    assert complete("pal status b", PAL_HOME=home, REDIS_URL="redis://127.0.0.1:1/0") == ["bats", "birds"]


def test_the_shell_offers_recipes() -> None:
    """Those that begin so, in their order."""
    assert complete("pal train --recipe gps-b") == ["gps-barlow", "gps-byol"]


@pytest.mark.parametrize(
    ("variable", "value"), [("PAL_ARTEFACTS", "s3://bucket/prefix"), ("PAL_HOME", "/no/such/folder"), ("PORT", "many")]
)
def test_nothing_is_offered_where_looking_is_slow_or_wrong(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store, a folder that is not there, a setting that cannot be read: no names, no error."""
    monkeypatch.setenv(variable, value)
    assert cli_completion.projects() == []


def test_backbones_and_tunings_are_offered() -> None:
    """Ours, how others begin, and every way of tuning."""
    assert cli_completion.backbones() == ["small", "torchvision:", "timm:", "features:"]
    assert cli_completion.tunings() == ["full", "head", "frozen"]
