"""A session becomes as nice as its process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.niceness import session_as_nice


def test_the_session_is_told_the_niceness_of_the_process(tmp_path: Path) -> None:
    """Also when Linux asks to come back; where there is no such file nothing happens."""
    session_as_nice(tmp_path / "autogroup")
    assert (tmp_path / "autogroup").read_text() == str(os.nice(0))
    session_as_nice(tmp_path / "nowhere" / "autogroup")


def test_a_wish_that_is_refused_for_now_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux takes one from all processes in a tenth of a second."""
    write, refused = Path.write_text, [BlockingIOError()]

    def busy(path: Path, text: str) -> int:
        if refused:
            raise refused.pop()
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", busy)
    session_as_nice(tmp_path / "autogroup")
    assert (tmp_path / "autogroup").exists()
