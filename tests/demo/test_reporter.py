"""Progress where there is a terminal and where there is none."""

import io

from rich.console import Console

from pal_backend.demo import reporter as reporting
from pal_backend.demo.reporter import Reporter, sparkline


def spoken(terminal: bool) -> str:
    """What a step with a detail leaves behind."""
    out = io.StringIO()
    with Reporter(Console(file=out, force_terminal=terminal, width=100)).step("Label [Studio]") as step:
        step.say("loading [x]")
    return out.getvalue()


def test_without_terminal_steps_are_lines() -> None:
    """A log gets one line at the start and one at the end, brackets and all, no escape codes."""
    text = spoken(terminal=False)
    assert text.splitlines()[0] == "  Label [Studio] …"
    assert text.splitlines()[1].startswith("✓ Label [Studio] (0.")
    assert "\x1b" not in text


def test_a_terminal_sees_the_end_too() -> None:
    """The spinner goes, the finished step stays."""
    assert "✓ Label [Studio] (0." in spoken(terminal=True)


def test_long_steps_without_terminal_say_that_they_live(monkeypatch) -> None:
    """Every ten seconds a log hears what a step is busy with."""
    monkeypatch.setattr(reporting, "PLAIN_SECONDS", 0.0)
    assert "… Label [Studio] · 0 s · loading [x]" in spoken(terminal=False)


def test_sparkline_covers_the_whole_range() -> None:
    """Values below 0 and of 1 are drawn with the first and the last character."""
    assert sparkline([-0.1, 0.0, 0.5, 1.0]) == "▁▁▅█"
