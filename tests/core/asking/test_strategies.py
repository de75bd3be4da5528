"""What holds for every strategy, whatever its name; and how strategies get their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pal_backend.core import evaluation
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.asking.strategies import GROUP, STRATEGIES, descriptions, known, strategy
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Purpose, QuestionKind
from pal_backend.errors import ConfigError, InputError, NotFoundError
from tests.core.asking import drawn
from tests.core.asking.drawn import IDS, LABELS, ROWS, SPACE, questions, spoken, state_of
from tests.core.worlds import clusters, said, truthful

MAIN: str = inspect.signature(Learner).parameters["strategy"].default
"""Ours; it asks again about answers that look wrong, so settled pairs are among its candidates."""
EVERY = sorted(STRATEGIES)
OTHERS = sorted(set(STRATEGIES) - {MAIN})

each = pytest.mark.parametrize("name", EVERY)
each_other = pytest.mark.parametrize("name", OTHERS)
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def offered(name: str, state: State, seed: int) -> Candidates:
    """What a strategy offers."""
    return strategy(name)(state, np.random.default_rng(seed))


@each
@given(drawn.answers, drawn.waiting, seeds)
@quick
def test_candidates_are_real_pairs_property(
    name: str, answers: list[tuple[int, int, str]], waiting: list[list[int]], seed: int
) -> None:
    """Rows of the space, two different ones, finite scores of 0 or more, no pair of an open question."""
    state = state_of(spoken(answers), questions(waiting))
    found = STRATEGIES[name](state, np.random.default_rng(seed))
    assert found.left.dtype == found.right.dtype == np.int64 and found.scores.dtype == np.float64
    assert len(found.left) == len(found.right) == len(found.scores)
    assert (found.left != found.right).all() and np.isfinite(found.scores).all() and (found.scores >= 0.0).all()
    rows = np.concatenate([found.left, found.right])
    assert ((rows >= 0) & (rows < ROWS)).all()
    let_in = offered(name, state, seed)
    pairs = {state.pair(a, b) for a, b in zip(let_in.left.tolist(), let_in.right.tolist(), strict=True)}
    assert not pairs & state.open_pairs


@each_other
@given(drawn.answers, drawn.waiting, seeds)
@quick
def test_nothing_settled_or_open_is_offered_property(
    name: str, answers: list[tuple[int, int, str]], waiting: list[list[int]], seed: int
) -> None:
    """Pairs that answers settle, or that are open, are not among the candidates even before the gate."""
    state = state_of(spoken(answers), questions(waiting))
    found = STRATEGIES[name](state, np.random.default_rng(seed))
    for a, b in zip(found.left.tolist(), found.right.tolist(), strict=True):
        assert not state.graph.settled(IDS[a], IDS[b])
        assert state.pair(a, b) not in state.open_pairs


@each
@given(drawn.answers, drawn.waiting, seeds, st.randoms(use_true_random=False))
@quick
def test_the_set_and_the_seed_decide_property(
    name: str, answers: list[tuple[int, int, str]], waiting: list[list[int]], seed: int, rnd: object
) -> None:
    """The same answers in another order, and the same seed, give the very same candidates."""
    told = spoken(answers)
    other = list(told)
    rnd.shuffle(other)  # type: ignore[attr-defined]
    one, two = (offered(name, state_of(some, questions(waiting)), seed) for some in (told, other))
    assert one.left.tolist() == two.left.tolist() and one.right.tolist() == two.right.tolist()
    assert one.scores.tolist() == two.scores.tolist()


@each
@given(drawn.answers, drawn.waiting, st.sampled_from(list(QuestionKind)), st.integers(0, 99))
@quick
def test_questions_of_both_kinds_property(
    name: str, answers: list[tuple[int, int, str]], waiting: list[list[int]], kind: QuestionKind, seed: int
) -> None:
    """Through the learner: no pair twice while open, no sample placed by two questions, rechecks alone are settled."""
    learner = Learner(SPACE, strategy=name, seed=seed)
    learner.set_answers(spoken(answers))
    asked = list(questions(waiting))
    open_pairs = {pair for question in asked for pair in question.pairs}
    placing = {sample for question in asked for sample in question.candidates}
    for question in learner.ask(4, kind=kind, candidates=3, open_questions=asked):
        assert 1 <= len(question.candidates) <= (1 if kind is QuestionKind.PAIR else 3)
        assert not open_pairs & set(question.pairs) and not placing & set(question.candidates)
        settled = any(learner.graph.settled(*pair) for pair in question.pairs)
        assert not settled or question.purpose is Purpose.RECHECK
        open_pairs |= set(question.pairs)
        placing |= set(question.candidates)


@each
@pytest.mark.parametrize("kind", list(QuestionKind))
def test_there_is_something_to_ask_from_the_start(name: str, kind: QuestionKind) -> None:
    """Without any answer there are questions, and further ones while those are open; two samples are enough."""
    learner = Learner(SPACE, strategy=name)
    first = learner.ask(2, kind=kind, candidates=2)
    assert len(first) == 2
    assert learner.ask(1, kind=kind, candidates=2, open_questions=first)
    pair = Learner(clusters(groups=2, each=1)[0], strategy=name)
    assert len(pair.ask(3, kind=kind)) == 1


@each
@pytest.mark.parametrize("kind", list(QuestionKind))
def test_right_answers_lead_to_the_truth(name: str, kind: QuestionKind) -> None:
    """Asked until nothing is left, every strategy ends, with every sample in its class."""
    learner = Learner(SPACE, strategy=name)
    for number in range(ROWS * ROWS):
        asked = learner.ask(1, kind=kind, candidates=4)
        if not asked:
            break
        learner.update(truthful(number, asked[0], SPACE, LABELS), ())
    assert not learner.ask(1, kind=kind, candidates=4)
    assert evaluation.ari(LABELS, learner.posterior().assignment()[0]) == 1.0


@each_other
def test_nobody_is_asked_for_ever_about_what_nobody_can_tell(name: str) -> None:
    """Where people are unsure, the strategy goes elsewhere: twelve such answers are about at least nine pairs."""
    learner = Learner(SPACE, strategy=name)
    pairs = []
    for number in range(12):
        [question] = learner.ask(1)
        pairs += question.pairs
        learner.update([said(number, *question.pairs[0], "unsure")], ())
    assert len(set(pairs)) >= 9


@each
def test_answers_about_samples_that_are_gone_do_no_harm(name: str) -> None:
    """Groups and questions of an older pool are there, but none of their samples: there is something to ask all the same."""
    learner = Learner(SPACE, strategy=name)
    learner.set_answers([said(1, "gone", "lost", "different"), said(2, "gone", IDS[0], "unsure")])
    if name != MAIN:
        assert learner.ask(2)
    learner.ask(2, kind=QuestionKind.SCREEN)


@each
def test_ours_say_in_one_line_what_they_ask(name: str) -> None:
    """The list of strategies takes its words from the docstrings: one sentence, and the paper if there is one."""
    [found] = [each for each in descriptions() if each.name == name]
    assert 20 < len(found.summary) < 140 and found.summary.endswith(".")
    assert found.package == found.problem == ""
    assert "\n" not in found.source
    if name not in (MAIN, "random"):
        assert any(year in found.source for year in ("1994", "2018", "2022", "2023"))


def test_an_unknown_name_is_refused() -> None:
    """The message names those that exist."""
    with pytest.raises(InputError, match=f"'best' is not known; use one of {', '.join(EVERY)}"):
        strategy("best")


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package with entry points where Python finds it, as an installer would."""

    def package(name: str, points: dict[str, str], code: str = "") -> None:
        folder = tmp_path / name
        about = folder / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{point} = {value}" for point, value in points.items()]
        (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        (folder / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)

    return package


FIRST = '''
import numpy as np
from functools import partial
from pal_backend.core.asking.state import Candidates
from pal_backend.errors import NotFoundError

def first(state, rng, start=0):
    """The first two samples.

    Source: nobody 2020
    """
    return Candidates(np.asarray([start]), np.asarray([start + 1]), np.asarray([1.0]))

later = partial(first, start=3)

class Thing:
    """A thing that is called."""
    def __call__(self, state, rng):
        return first(state, rng)

thing = Thing()
number = 3

def nonsense(state, rng):
    return [(0, 1)]

def fails(state, rng):
    return state.nothing

def ours(state, rng):
    raise NotFoundError("no file")
'''


def test_a_package_registers_its_own(install: Install) -> None:
    """A function, a partial or an object that can be called is known by its entry point's name, and works in the learner."""
    install("mine_a", {"first": "mine_a:first", "later": "mine_a:later", "thing": "mine_a:thing"}, FIRST)
    assert {"first", "later", "thing"} < set(known())
    assert Learner(SPACE, strategy="first").ask(1)[0].samples == (IDS[1], IDS[0])
    assert Learner(SPACE, strategy="later").ask(1)[0].samples == (IDS[4], IDS[3])
    assert Learner(SPACE, strategy="thing").ask(1)[0].samples == (IDS[1], IDS[0])
    words = {each.name: (each.summary, each.source, each.package, each.problem) for each in descriptions()}
    assert words["first"] == words["later"] == ("The first two samples.", "nobody 2020", "mine_a", "")
    assert words["thing"] == ("A thing that is called.", "", "mine_a", "")


def test_nothing_is_imported_before_it_is_asked_for(install: Install, tmp_path: Path) -> None:
    """Names are known, and other strategies work, though the package's module cannot even be read."""
    install("mine_b", {"broken": "mine_b:first"}, f"open({str(tmp_path / 'imported')!r}, 'w'); 1 / 0")
    assert "broken" in known()
    assert Learner(SPACE, strategy=MAIN).ask(1)
    with pytest.raises(InputError, match="broken"):
        strategy("best")
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (
            "mine_c:first",
            "1 / 0",
            r"of mine_c \(mine_c:first\) cannot be imported: ZeroDivisionError: division by zero",
        ),
        ("mine_c:first", "import not_there", "cannot be imported: ModuleNotFoundError: No module named 'not_there'"),
        ("mine_c:second", FIRST, "cannot be imported: AttributeError: .*second"),
        ("not_there:first", "", "cannot be imported: ModuleNotFoundError"),
        ("mine_c:number", FIRST, "is of type int; expected a callable"),
    ],
)
def test_what_cannot_be_loaded_is_told(
    install: Install, monkeypatch: pytest.MonkeyPatch, value: str, code: str, words: str
) -> None:
    """The error names strategy, package, place and reason; the list shows it beside the others instead of failing."""
    install("mine_c", {"bad": value}, code)
    monkeypatch.delitem(__import__("sys").modules, "mine_c", raising=False)
    with pytest.raises(ConfigError, match=f"strategy 'bad' .*{words}"):
        strategy("bad")
    [found] = [each for each in descriptions() if each.name == "bad"]
    assert found.problem.startswith("strategy 'bad'") and found.summary == "" and found.package == "mine_c"


def test_what_fails_or_returns_nonsense_is_told(install: Install) -> None:
    """When it is called: nonsense is refused, a failure is told with the name, our own errors come through."""
    install("mine_d", {"nonsense": "mine_d:nonsense", "fails": "mine_d:fails", "ours": "mine_d:ours"}, FIRST)
    state = state_of([], [])
    with pytest.raises(ConfigError, match="strategy 'nonsense' returned list"):
        offered("nonsense", state, 0)
    with pytest.raises(ConfigError, match=r"strategy 'fails' of mine_d \(mine_d:fails\) failed: AttributeError"):
        offered("fails", state, 0)
    with pytest.raises(NotFoundError, match="no file"):
        offered("ours", state, 0)


def test_names_are_not_taken_twice(install: Install) -> None:
    """Our names stay ours, and a name that two packages register is refused with both."""
    install("mine_e", {"random": "mine_e:first", "twice": "mine_e:first"}, FIRST)
    install("mine_f", {"twice": "mine_f:first"}, FIRST)
    assert len(Learner(SPACE, strategy="random", seed=1).ask(5)) == 5
    shadowed = [each for each in descriptions() if each.name == "random" and each.package]
    assert [each.problem for each in shadowed] == ["the name is one of ours; register it under another"]
    with pytest.raises(ConfigError, match=r"registered by mine_e \(mine_e:first\) and mine_f \(mine_f:first\)"):
        strategy("twice")
