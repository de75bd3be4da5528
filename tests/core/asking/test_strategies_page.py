"""The page about strategies: it names what there is, and its example does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pal_backend.core.asking.relations import Relations
from pal_backend.core.asking.strategies import GROUP, STRATEGIES, descriptions
from pal_backend.simulation import simulate
from tests.core.asking.drawn import state_of
from tests.core.asking.test_strategies import MAIN
from tests.core.worlds import clusters
from tests.pages import install

PAGE = (Path(__file__).parents[3] / "docs/strategies.md").read_text()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example installed as the page says; its name."""
    return install(PAGE, GROUP, tmp_path, monkeypatch)


def test_every_strategy_of_ours_is_on_the_page() -> None:
    """The table has a row for each, and no other."""
    named = set(re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, re.MULTILINE))
    assert named >= set(STRATEGIES) - {MAIN}
    assert {name for name in named if name in STRATEGIES} | {MAIN} == set(STRATEGIES)


@pytest.mark.parametrize("questions", ["pairs", "screens"])
def test_the_example_works(example: str, questions: str) -> None:
    """Through the simulation it finds easy groups, from zero answers and with questions open."""
    space, labels = clusters(groups=4, each=25)
    result = simulate(
        space.features, labels, answers=80, strategy=example, questions=questions, candidates=4, open_questions=3
    )
    assert result.curve[-1].ari > 0.9


def test_the_example_is_listed_in_its_own_words(example: str) -> None:
    """`pal strategies` takes sentence and source from the docstring."""
    [found] = [each for each in descriptions() if each.name == example]
    assert found.summary == "Samples in doubt in crowded places, each against its likeliest group."
    assert (
        found.source.startswith("Settles and Craven 2008") and found.problem == "" and found.package == "my_questions"
    )


def test_what_the_page_says_is_there_is_there() -> None:
    """Every field that the page names of state, space, beliefs and relations exists."""
    state = state_of([], [])
    seen = PAGE.partition("### What it sees")[2].partition("### What it gives")[0]
    rows = dict(re.findall(r"^\| (`.*?) \| (.*) \|$", seen, re.MULTILINE))
    for names in rows:
        for name in re.findall(r"`(\w+)", names):
            assert hasattr(state, name), name
    owners = {"`space`": state.space, "`beliefs`": state.beliefs, "`graph`": state.graph}
    for row, owner in owners.items():
        for name in re.findall(r"`(\w+)`", rows[row]):
            assert hasattr(owner, name), f"{row}: {name}"
    for name in re.findall(r"`(\w+)`", seen.partition("arrays of samples against groups:")[2].partition("finds")[0]):
        assert hasattr(Relations(state), name), name
