"""Names of backbones and choices, read without importing anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pal_backend.core.choice import SMALL, BackboneName, Choice, Source, Tuning
from pal_backend.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("small", BackboneName(Source.SMALL, "small")),
        ("torchvision:resnet18", BackboneName(Source.TORCHVISION, "resnet18")),
        ("torchvision:vit_b_16@224", BackboneName(Source.TORCHVISION, "vit_b_16", 224)),
        ("timm:resnet18.a1_in1k", BackboneName(Source.TIMM, "resnet18.a1_in1k")),
        ("my_package.networks:sketch", BackboneName(Source.FACTORY, "my_package.networks:sketch")),
        ("features:/data/clip v2.npy", BackboneName(Source.FEATURES, "/data/clip v2.npy")),
        ("dense-net.2", BackboneName(Source.PLUGIN, "dense-net.2")),
    ],
)
def test_each_kind_of_name_is_told_by_its_form(text: str, expected: BackboneName) -> None:
    """Every form that the docs state is read as what it says."""
    assert BackboneName.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", " small", "small\n", "../net", "a/b", "torchvision:", "torchvision:resnet18@0", "torchvision:resnet18@"),
        *("timm:hf-hub:someone/net", "timm:local-dir:/tmp", "timm:../net", "torchvision:__import__('os')"),
        *("features:x.pkl", "features:.npy\n", "os:system()", "os;x:y", "a..b:c", "x:y:z", "ſmall\0", "n" * 2000),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Paths, addresses of hubs, expressions and endless names are no backbones."""
    with pytest.raises(InputError, match=r"cannot be read; expected small, torchvision:NAME"):
        BackboneName.parse(text)


def test_images_are_not_enlarged_without_limit() -> None:
    """A name cannot ask for images that fill the memory."""
    with pytest.raises(InputError, match="enlarges images to 513 pixels; expected at most 512"):
        BackboneName.parse("timm:resnet18@513")


def test_a_choice_fills_what_another_left_open() -> None:
    """Each part comes from whoever says it first, a backbone together with its weights."""
    first = Choice(tuning="head", backbone="torchvision:resnet18")
    second = Choice(recipe="vicreg", backbone="small", weights="small.safetensors", tuning="full")
    assert first.over(second) == Choice("vicreg", "torchvision:resnet18", "", "head")
    assert Choice(recipe="scl").over(second) == Choice("scl", "small", "small.safetensors", "full")
    assert Choice().over(Choice()).completed() == Choice("simclr", SMALL, "", "full")
    assert Choice(backbone="features:x.npy").completed().tuning == Tuning.FROZEN


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(tuning="half"), "there is no tuning 'half'; expected one of: full, head, frozen"),
        (Choice(tuning="frozen"), "tuning frozen of small without weights"),
        (Choice(backbone="timm:resnet18", tuning="head"), "a network that never learned has nothing to keep"),
        (Choice(backbone="features:x.npy", tuning="full"), "since there is no network"),
        (Choice(backbone="features:x.npy", weights="w.pt"), "expected no weights"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(choice: Choice, words: str) -> None:
    """The message says what was found and what would go."""
    with pytest.raises(InputError, match=words):
        choice.check()


@pytest.mark.parametrize("backbone", ["mine", "my.networks:mine"])
def test_a_network_of_ones_own_may_bring_its_weights(backbone: str) -> None:
    """Frozen and head-only need no file where the factory may know one."""
    assert Choice(backbone=backbone, tuning="frozen").check().tuning is Tuning.FROZEN


def test_reading_a_name_imports_no_network() -> None:
    """The web process reads names: torch stays out of it."""
    code = (
        "import sys; from pal_backend.core.choice import BackboneName, Choice\n"
        "BackboneName.parse('torchvision:resnet18'), Choice(backbone='antigravity:anything').check()\n"
        "sys.exit(bool({'torch', 'torchvision', 'timm', 'antigravity'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
