"""The API reference: its example does what the page says."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from tests.pages import block

PAGE = (Path(__file__).parents[1] / "docs/reference/index.md").read_text()


def test_the_example_finds_the_groups() -> None:
    """Twelve answers about sixty samples of three classes: three groups, each sample in the right one."""
    space: dict[str, object] = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(block(PAGE, "python"), space)
    assert said.getvalue() == "3 groups\n"
    pairs = set(zip(space["classes"].tolist(), space["groups"].tolist(), strict=True))  # type: ignore[attr-defined]
    assert len(pairs) == 3
