"""Pausing, and asking or learning in another way: on the page, by command, and in what is kept."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest
from redis import Redis
from typer.testing import CliRunner

from pal_backend.choosing import Operator, ask, chosen
from pal_backend.cli import app
from pal_backend.controls import Controls, Wishes
from pal_backend.core.asking import names
from pal_backend.core.asking.strategies import STRATEGIES
from pal_backend.core.choice import Choice
from pal_backend.core.recipes import RECIPES
from pal_backend.errors import InputError, NotFoundError, PalError
from pal_backend.queues import Queues
from pal_backend.store.projects import Project
from tests.test_pages import OVERVIEW, QUESTIONS, entered, token_of
from tests.test_pages import web as web  # noqa: PLC0414  a fixture
from tests.web_side import NOW, PROJECT, WebSide


@pytest.fixture
def controls(web: WebSide) -> Controls:
    """Of the web side's project."""
    return Controls(web.stores, Queues(web.settings.redis_url), Operator(key="k"), lambda: NOW)


def kept(web: WebSide) -> Project:
    """The project as it is kept."""
    return web.stores.projects.get(PROJECT)


def kinds(web: WebSide) -> list[str]:
    """Jobs that were asked for."""
    return sorted(job.kind for job in Queues(web.settings.redis_url).jobs())


def test_the_names_are_those_of_the_strategies() -> None:
    """The web process cannot import the table, so it has its names."""
    assert set(names.OURS) == set(STRATEGIES)


def test_a_pause_begins_once_and_outlives_redis(web: WebSide, controls: Controls, redis: Redis) -> None:
    """Pausing again keeps the first time; only going on wakes the learner."""
    controls.pause(PROJECT)
    Controls(web.stores, controls.queues, controls.operator, lambda: NOW + 9).pause(PROJECT)
    assert kept(web).paused_at == NOW and kinds(web) == []
    redis.flushdb()
    assert kept(web).paused_at == NOW
    controls.resume(PROJECT)
    assert not kept(web).paused and kinds(web) == ["learn"]


def test_each_part_is_changed_for_itself(web: WebSide, controls: Controls) -> None:
    """What is not named stays, and nothing is woken where nothing changes."""
    before = kept(web)
    controls.change(PROJECT, Wishes(), "x")
    assert kept(web) == before and kinds(web) == []
    controls.change(PROJECT, Wishes(strategy="random"), "x")
    controls.change(PROJECT, Wishes(open_questions=25), "x")
    found = kept(web)
    assert (found.strategy, found.open_questions, found.recipe) == ("random", 25, "")
    assert kinds(web) == ["learn"]


def test_a_strategy_with_a_pretext_task_has_it_learned(web: WebSide, controls: Controls) -> None:
    """Before the first training its losses come with the pool; what needs none asks for nothing."""
    controls.change(PROJECT, Wishes(strategy="pt4al"), "x")
    assert kinds(web) == ["ingest", "learn"]


@pytest.mark.parametrize("wishes", [Wishes("best"), Wishes(recipe="best"), Wishes(open_questions=1001), Wishes("")])
def test_what_is_not_there_is_refused(web: WebSide, controls: Controls, wishes: Wishes) -> None:
    """By the same tables as `pal init`, and nothing is kept."""
    before = kept(web)
    with pytest.raises(InputError, match=r"expected"):
        controls.change(PROJECT, wishes, "x")
    assert kept(web) == before


def test_a_recipe_counts_before_extra_parameters_and_says_who_chose_it(web: WebSide, controls: Controls) -> None:
    """One rule of precedence: the project, then a desk, then the environment; taken back, the next one counts."""
    operator = Operator(defaults=Choice(recipe="scl"))
    ask(kept(web), "pairs", Choice(recipe="byol"), web.stores, operator)
    controls.change(PROJECT, Wishes(recipe="vicreg"), "a lead")
    found = chosen(kept(web), web.stores, operator)
    assert (found.choice.recipe, found.said_by["recipe"]) == ("vicreg", "a lead")
    controls.change(PROJECT, Wishes(recipe=""), "a lead")
    found = chosen(kept(web), web.stores, operator)
    assert (found.choice.recipe, found.said_by["recipe"]) == ("byol", "desk pairs")


def test_a_change_of_recipe_seals_no_backbone(web: WebSide, controls: Controls) -> None:
    """Whoever wrote a backbone into Redis gets no seal by a lead's click."""
    web.stores.projects.change(
        PROJECT, lambda p: Project(**{**asdict(p), "desks": p.desks, "backbone": "evil.net:make"})
    )
    controls.change(PROJECT, Wishes(recipe="vicreg"), "a lead")
    assert kept(web).seal == ""


def test_changes_at_the_same_time_all_stay(web: WebSide) -> None:
    """What somebody saved in between is not overwritten."""
    tries = []

    def change(project: Project) -> Project:
        if not tries:
            tries.append(
                web.stores.projects.change(PROJECT, lambda p: Project(**{**asdict(p), "desks": p.desks, "seed": 7}))
            )
        return Project(**{**asdict(project), "desks": project.desks, "strategy": "random"})

    web.stores.projects.change(PROJECT, change)
    assert (kept(web).seed, kept(web).strategy) == (7, "random")
    with pytest.raises(NotFoundError):
        web.stores.projects.change("nobody", change)


# ---- the page --------------------------------------------------------------------------------------------------------------


def test_a_lead_pauses_and_goes_on(web: WebSide) -> None:
    """The page says so, the project's page too, and its stamp moves, so that open pages follow."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    before = re.findall(r'data-stamp="(\w+)"', viewer.get(OVERVIEW).text)
    assert lead.post(f"{OVERVIEW}/pause", data={"token": token_of(lead)}).status_code == 200
    assert kept(web).paused
    for path in (QUESTIONS, OVERVIEW):
        assert "aused since" in viewer.get(path).text
    assert re.findall(r'data-stamp="(\w+)"', viewer.get(OVERVIEW).text) != before
    lead.post(f"{OVERVIEW}/resume", data={"token": token_of(lead)})
    assert not kept(web).paused and "aused since" not in viewer.get(OVERVIEW).text


def test_a_lead_changes_strategy_recipe_and_number(web: WebSide) -> None:
    """The form shows what counts, and what it was set to afterwards."""
    lead = entered(web, "lead")
    page = lead.get(QUESTIONS).text
    assert set(re.findall(r'<option value="([a-z0-9-]+)"', page)) == {*STRATEGIES, *RECIPES}
    form = {"token": token_of(lead), "strategy": "uncertainty", "recipe": "byol", "queue": "30"}
    assert lead.post(f"{OVERVIEW}/asking", data=form).status_code == 200
    found = kept(web)
    assert (found.strategy, found.recipe, found.recipe_by, found.open_questions) == (
        "uncertainty",
        "byol",
        "a lead",
        30,
    )
    page = lead.get(QUESTIONS).text
    assert '<option value="uncertainty" selected>' in page and '<option value="byol" selected>' in page
    assert "30 on a desk" in page and "(this project)" in page and "(a lead)" in page
    lead.post(f"{OVERVIEW}/asking", data=form | {"recipe": "", "queue": ""})
    assert "(PAL_OPEN_QUESTIONS)" in lead.get(QUESTIONS).text and kept(web).recipe == ""


def test_nobody_else_acts(web: WebSide) -> None:
    """Not a viewer, not without the token, not with what is not there."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    before = kept(web)
    assert "<form" not in viewer.get(QUESTIONS).text.split('id="h-asking"')[1].split("</section>")[0]
    for place in ("pause", "resume", "asking"):
        assert viewer.post(f"{OVERVIEW}/{place}", data={"token": token_of(viewer)}).status_code == 403
        assert lead.post(f"{OVERVIEW}/{place}", data={"strategy": "random"}).status_code == 403
        assert web.client.post(f"{OVERVIEW}/{place}", follow_redirects=False).status_code == 303
    for wrong in ({"strategy": "best"}, {"recipe": "best"}, {"queue": "many"}, {"queue": "-1"}, {"queue": "1001"}):
        answer = lead.post(f"{OVERVIEW}/asking", data={"token": token_of(lead), **wrong})
        assert answer.status_code == 400 and "expected" in answer.text
    assert kept(web) == before


# ---- the commands ----------------------------------------------------------------------------------------------------------


def test_the_commands_do_the_same(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pal pause`, `resume` and `set` say what counts now, for people and programs; `pal status` shows it."""
    surroundings = {"REDIS_URL": web.settings.redis_url, "PAL_HOME": str(web.settings.home), "COLUMNS": "300"}
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)

    def pal(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        if isinstance(done.exception, PalError):
            raise done.exception
        return done.stdout

    assert "rec: paused since" in pal("pause")
    found = json.loads(pal("set", PROJECT, "--strategy", "random", "--recipe", "scl", "--queue", "5", "--json"))
    assert found["paused_at"] == kept(web).paused_at > 0
    assert {name: found[name] for name in ("strategy", "recipe", "recipe_by", "open_questions", "open_by")} == {
        "strategy": "random", "recipe": "scl", "recipe_by": "pal set", "open_questions": 5, "open_by": "this project",
    }  # fmt: skip
    table = pal("status")
    assert "no new questions are asked" in table and "recipe scl (pal set)" in table and "5 on a desk" in table
    assert "rec: asks questions; by random" in pal("resume")
    for wrong in (("set", "--strategy", "best"), ("set",)):
        with pytest.raises(InputError):
            pal(*wrong)
