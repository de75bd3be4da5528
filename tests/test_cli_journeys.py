"""Every command there is: it stands under a heading, its help teaches, it speaks JSON, and its errors end as documented."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from pal_backend import cli
from pal_backend.cli_journeys import JOURNEYS, OTHERS

COMMANDS: dict[str, Any] = dict(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
WITHOUT_RESULT = {"serve"}
"""Runs until it is stopped, and prints no result."""
WITHOUT_SETTINGS = {"simulate", "train", "recipes", "strategies", "version"}
"""Look at nothing but their arguments."""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `pal` with these arguments, in this process."""
    monkeypatch.setattr(sys, "argv", ["pal", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


MORE = {"set": ["--queue", "10"], "import-answers": ["--list"]}
"""What a command wants besides, one of several."""
WORDS = {"settle": ["none", "none", "same"]}
"""What a command cannot do without where it is more than one word of any kind."""


def needed(command: Any) -> list[str]:
    """What a command cannot do without; nothing of that name is there."""
    if str(command.name) in WORDS:
        return WORDS[str(command.name)]
    required = [parameter for parameter in command.params if parameter.required]
    options = [[parameter.opts[0]] if parameter.param_type_name == "option" else [] for parameter in required]
    return [*(word for option in options for word in (*option, "none")), *MORE.get(str(command.name), [])]


@pytest.mark.parametrize("name", COMMANDS)
def test_it_stands_under_a_heading(name: str) -> None:
    """Whoever reads `pal --help` finds it by what they are about to do."""
    panel = COMMANDS[name].rich_help_panel
    assert panel != OTHERS, f"say in cli_journeys.py where `pal {name}` belongs"
    assert name in JOURNEYS[panel]


def test_headings_hold_no_other_commands() -> None:
    """Each command that a heading names is there, once; help shows them in this order."""
    named = [command for commands in JOURNEYS.values() for command in commands]
    assert [name for name in COMMANDS if name in named] == named


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what each option is for, shows an example that starts with the command, and ends with the exit codes."""
    monkeypatch.setenv("COLUMNS", "300")
    assert run(monkeypatch, name, "--help") == 0
    shown = capsys.readouterr().out
    assert re.search(rf"Example: .*pal {name}\b", shown)
    assert "Exit codes: 0 done" in shown
    assert [parameter.opts for parameter in COMMANDS[name].params if not getattr(parameter, "help", "")] == []


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - WITHOUT_RESULT))
def test_results_come_as_json_too(name: str) -> None:
    """Whatever prints a result takes --json."""
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_input_that_cannot_be_used(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and nothing on stdout."""
    assert run(monkeypatch, name, "--no-such-option") == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - WITHOUT_SETTINGS))
def test_a_setting_that_cannot_be_used_ends_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 7, one line on stderr that names the variable, nothing on stdout."""
    monkeypatch.setenv("PORT", "many")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, name, *needed(COMMANDS[name])) == 7
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert shown.err.startswith("pal: ") and "PORT='many'" in shown.err
