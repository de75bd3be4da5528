"""Pages of the docs under test: their blocks of code, and their example packages installed as they say."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest


def block(page: str, language: str) -> str:
    """The page's only block of code in a language."""
    [found] = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return str(found)


def entry_point(page: str, group: str) -> tuple[str, str]:
    """Name and address of the one entry point that the page registers."""
    points: dict[str, str] = tomllib.loads(block(page, "toml"))["project"]["entry-points"][group]
    [(name, value)] = points.items()
    return name, value


def install(page: str, group: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the page's Python into an importable package that registers it; the name under which it does."""
    name, value = entry_point(page, group)
    module = value.partition(":")[0]
    (folder / f"{module}.py").write_text(block(page, "python"))
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)
    return name
