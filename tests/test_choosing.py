"""Whose word counts, and what a word from outside may name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pal_backend.choosing import Operator, allow, ask, asking, chosen, initialised, settled
from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.credentials import Credentials
from pal_backend.errors import AccessError, ConfigError, InputError
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores

PROJECT = Project(
    "birds", "/pool", (Desk("pairs", QuestionKind.PAIR, 2, 1, 1), Desk("screens", QuestionKind.SCREEN, 3, 2, 2))
)
OPERATOR = Operator(
    allowed=frozenset({"small", "torchvision:resnet18", "good.networks:make"}), folder=Path("/home/w"), key="k"
)


def told(project: Project = PROJECT, operator: Operator = OPERATOR, **said: str) -> Project:
    """The project after `pal init` with these options."""
    return initialised(
        project, operator, **({"recipe": None, "backbone": None, "weights": None, "tuning": None} | said)
    )


def test_our_defaults_count_where_nobody_says_anything(stores: Stores) -> None:
    """SimCLR, the small network, all of it learning."""
    found = chosen(PROJECT, stores, OPERATOR)
    assert found.choice == Choice("simclr", "small", "", "full")
    assert set(found.said_by.values()) == {"default"}
    assert settled(PROJECT, stores, OPERATOR).choice == found.choice


def test_init_counts_more_than_desks_and_these_more_than_the_environment(stores: Stores) -> None:
    """Each part for itself, the desks in their order."""
    operator = replace(OPERATOR, defaults=Choice("scl", "timm:resnet18", "/e.pth", "head"))
    assert chosen(PROJECT, stores, operator).choice == operator.defaults
    ask(PROJECT, "screens", Choice(recipe="vicreg", backbone="small", tuning="full"), stores, operator)
    assert chosen(PROJECT, stores, operator).choice == Choice("vicreg", "small", "", "full")
    ask(PROJECT, "pairs", Choice(recipe="spectral"), stores, operator)
    found = chosen(told(tuning="full", recipe="gps-simclr"), stores, operator)
    assert found.choice == Choice("gps-simclr", "small", "", "full")
    assert found.said_by == {"recipe": "pal init", "backbone": "desk screens", "tuning": "pal init"}
    ask(PROJECT, "screens", Choice(), stores, operator)
    found = chosen(PROJECT, stores, operator)
    assert found.choice == Choice("spectral", "timm:resnet18", "/e.pth", "head")
    assert found.said_by == {"recipe": "desk pairs", "backbone": "environment", "tuning": "environment"}


def test_a_retired_desk_says_nothing_any_more(stores: Stores) -> None:
    """Its Label Studio project is gone."""
    ask(PROJECT, "pairs", Choice(recipe="scl"), stores, OPERATOR)
    retired = replace(PROJECT, desks=(replace(PROJECT.desks[0], retired=True), PROJECT.desks[1]))
    assert chosen(retired, stores, OPERATOR).choice.recipe == "simclr"


def test_init_again_changes_what_it_names_and_takes_back_what_is_empty() -> None:
    """A backbone without its file loses the old one's; paths are kept whole."""
    first = told(backbone="torchvision:resnet18", weights="r.pth", tuning="head", recipe="scl")
    assert first.choice == Choice("scl", "torchvision:resnet18", str(Path("r.pth").absolute()), "head")
    assert told(first, weights="q.pth").choice == replace(first.choice, weights=str(Path("q.pth").absolute()))
    second = told(first, backbone="features:x.npy", tuning="", recipe="")
    assert second.choice == Choice("", f"features:{Path('x.npy').absolute()}", "", "")
    assert told(second, backbone="").choice == Choice()


@pytest.mark.parametrize("said", [{"recipe": "best"}, {"backbone": "../x"}, {"tuning": "half"}])
def test_init_refuses_what_cannot_be_read(said: dict[str, str]) -> None:
    """Names are looked at before anything is kept."""
    with pytest.raises(InputError):
        told(**said)


@pytest.mark.parametrize(
    "asked",
    [
        Choice(),
        Choice(recipe="gps-simclr", tuning="full"),
        Choice(backbone="torchvision:resnet18", weights="r18.pth", tuning="frozen"),
        Choice(backbone="good.networks:make"),
        Choice(weights="small-v2.safetensors", tuning="head"),
    ],
)
def test_extra_parameters_may_name_what_is_listed(asked: Choice) -> None:
    """Recipes and tunings of ours, backbones of the list, files by their name."""
    allow(asked, OPERATOR)


@pytest.mark.parametrize(
    "backbone",
    [
        *("os:system", "torchvision:resnet50", "torchvision:resnet18@224", "good.networks:other", "an-entry-point"),
        *("features:/etc/passwd.npy", "timm:resnet18", "good.networks", "SMALL"),
    ],
)
def test_extra_parameters_may_name_no_other_backbone(stores: Stores, backbone: str) -> None:
    """Nothing that is not on the operator's list, letter by letter; least of all code to import."""
    with pytest.raises(InputError, match=r"expected one that the operator allows: good\.networks:make, small, torch"):
        ask(PROJECT, "pairs", Choice(backbone=backbone), stores, OPERATOR)
    assert stores.asked("birds").all() == {}


def test_without_a_list_only_the_small_network_may_be_asked_for() -> None:
    """That is the default of PAL_BACKBONES."""
    allow(Choice(backbone="small"), Operator())
    with pytest.raises(InputError, match="allows: small;"):
        allow(Choice(backbone="torchvision:resnet18"), Operator())


@pytest.mark.parametrize(
    "weights",
    [
        *("../secrets.safetensors", "/etc/x.pth", "a/b.pth", "..", ".hidden.pth", "w.pkl", "w", "w.pth\n", "w.pth\0"),
        *("C:\\w.pth", "~/w.pth", "https://h/w.pth", "w" * 200 + ".pth"),
    ],
)
def test_weights_from_extra_parameters_stay_in_the_folder(stores: Stores, weights: str) -> None:
    """A path, another kind of file or an address is refused; nothing is kept."""
    with pytest.raises(InputError, match="expected the name of a file in the operator's folder"):
        ask(PROJECT, "pairs", Choice(backbone="small", weights=weights), stores, OPERATOR)
    assert stores.asked("birds").all() == {}


def test_weights_that_a_desk_names_lie_in_the_operators_folder(stores: Stores) -> None:
    """The worker gets the whole path; those of the operator stay as they are."""
    ask(PROJECT, "pairs", Choice(backbone="torchvision:resnet18", weights="r.pth"), stores, OPERATOR)
    assert settled(PROJECT, stores, OPERATOR).weights == "/home/w/r.pth"
    ours = told(backbone="torchvision:resnet18", weights="/else/r.pth")
    assert settled(ours, stores, OPERATOR).weights == "/else/r.pth"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Choice(recipe="best"), "there is no recipe 'best'"),
        (Choice(tuning="none"), "there is no tuning 'none'"),
        (Choice(tuning="frozen"), "tuning frozen of small without weights"),
    ],
)
def test_extra_parameters_that_make_no_sense_are_refused(stores: Stores, asked: Choice, words: str) -> None:
    """Whoever connects the backend is told at once."""
    with pytest.raises(InputError, match=words):
        ask(PROJECT, "pairs", asked, stores, OPERATOR)


def test_a_worker_looks_at_the_list_again(stores: Stores) -> None:
    """Redis could have been written by others, or this worker's list be another."""
    stores.asked("birds").put("pairs", Choice(backbone="os:system"))
    with pytest.raises(InputError, match="the extra parameters ask for the backbone 'os:system'"):
        settled(PROJECT, stores, OPERATOR)
    stores.asked("birds").put("pairs", Choice(backbone="small", weights="../../x.pth"))
    with pytest.raises(InputError, match="expected the name of a file"):
        settled(PROJECT, stores, OPERATOR)


def test_code_and_files_are_touched_only_in_the_operators_hand(stores: Stores) -> None:
    """What Redis names without our seal, or under that of another key, project or name, is neither imported nor opened."""
    sealed = told(backbone="my.networks:make")
    assert settled(sealed, stores, OPERATOR).backbone == "my.networks:make"
    thieves = [
        replace(PROJECT, backbone="my.networks:make"),
        replace(PROJECT, backbone="features:/home/x/private.npy"),
        replace(PROJECT, backbone="small", weights="/home/x/private.pth"),
        replace(PROJECT, weights="/home/w/../x.pth"),
        replace(sealed, backbone="os:system"),
        replace(sealed, weights="/else.pth"),
        replace(sealed, name="fish"),
        told(backbone="my.networks:make", operator=replace(OPERATOR, key="other")),
        replace(sealed, seal="ß"),
    ]
    for thief in thieves:
        with pytest.raises(AccessError, match="which is code to import or a file to open, but not by"):
            settled(thief, stores, OPERATOR)


def test_the_environment_may_vouch_for_code(stores: Stores) -> None:
    """A worker elsewhere, with other secrets, takes what its own list or PAL_BACKBONE names."""
    unsealed = replace(PROJECT, backbone="good.networks:make")
    assert settled(unsealed, stores, OPERATOR).backbone == "good.networks:make"
    here = replace(PROJECT, backbone="torchvision:resnet18", weights="/home/w/r.pth")
    assert settled(here, stores, OPERATOR).weights == "/home/w/r.pth"
    named = replace(OPERATOR, defaults=Choice(backbone="my.networks:make"))
    assert settled(PROJECT, stores, named).backbone == "my.networks:make"
    assert settled(replace(PROJECT, backbone="my.networks:make"), stores, named).backbone == "my.networks:make"


def test_the_operators_word_is_read_from_the_environment(tmp_path: Path) -> None:
    """Settings and secrets become one value whose key does not show."""
    variables = {
        "PAL_HOME": str(tmp_path),
        "PAL_RECIPE": "scl",
        "PAL_BACKBONE": "timm:resnet18",
        "PAL_WEIGHTS": "/w/r.pth",
        "PAL_TUNING": "head",
        "PAL_BACKBONES": "small, torchvision:resnet18 ,",
    }
    found = Operator.of(Settings.from_env(variables), Credentials(media_key="secret"))
    assert found.defaults == Choice("scl", "timm:resnet18", "/w/r.pth", "head")
    assert found.allowed == {"small", "torchvision:resnet18"}
    assert found.folder == tmp_path / "weights"
    assert "secret" not in repr(found)


@pytest.mark.parametrize("variable", ["PAL_RECIPE", "PAL_BACKBONE", "PAL_BACKBONES", "PAL_TUNING"])
def test_an_environment_that_cannot_be_used_stops_the_process(variable: str) -> None:
    """The variable is named."""
    with pytest.raises(ConfigError, match=variable):
        Operator.of(Settings.from_env({variable: "a/b"}), Credentials())


def test_only_who_names_a_backbone_vouches_for_it(stores: Stores) -> None:
    """`pal init --recipe` seals no backbone that somebody else wrote into Redis."""
    written = replace(PROJECT, backbone="evil.networks:make")
    with pytest.raises(AccessError):
        settled(told(written, recipe="vicreg", tuning="full"), stores, OPERATOR)
    assert settled(told(written, backbone="evil.networks:make"), stores, OPERATOR).backbone == "evil.networks:make"


@pytest.mark.parametrize(
    ("recipe", "strategy", "kept", "expected", "words"),
    [
        ("pt4al", None, None, "pt4al", "chosen by pt4al, as the recipe pt4al does"),
        ("mobyv2al", "gain", None, "gain", ""),
        ("simclr", None, None, None, ""),
        (None, None, "k-centre", None, ""),
        ("", None, "k-centre", None, ""),
        (
            "mobyv2al",
            None,
            "gain",
            None,
            "by gain; the recipe mobyv2al goes with k-centre: `pal init birds --strategy k-centre`",
        ),
        ("simclr", None, "pt4al", None, "by pt4al; the recipe simclr goes with gain"),
        ("pt4al", None, "pt4al", None, ""),
    ],
)
def test_a_new_project_asks_as_its_recipe_does_and_another_is_told(
    recipe: str | None, strategy: str | None, kept: str | None, expected: str | None, words: str
) -> None:
    """What was said of asking counts most; a project that asks already goes on as before, and is told what fits."""
    found, sentence = asking("birds", recipe, strategy, kept)
    assert found == expected
    assert words in sentence and bool(words) == bool(sentence)


def test_an_unknown_recipe_is_no_way_of_asking() -> None:
    """It is refused as everywhere."""
    with pytest.raises(InputError, match="no recipe 'best'"):
        asking("birds", "best", None, None)
