"""What the shell offers when somebody presses Tab. Nothing heavy is imported, and nothing is asked over a network."""

from __future__ import annotations

from pathlib import Path

from pal_backend.errors import ConfigError
from pal_backend.settings import Settings


def projects() -> list[str]:
    """Names of the projects in the artefact folder; none where that is an object store, or settings cannot be read."""
    try:
        root = Settings.from_env().artefact_root
    except ConfigError:
        return []
    if "://" in root:
        return []
    return sorted(file.parent.name for file in Path(root).glob("projects/*/project.json"))


def recipes() -> list[str]:
    """Every recipe."""
    from pal_backend.core.recipes import RECIPES

    return list(RECIPES)


def backbones() -> list[str]:
    """Ours, and how the names of others begin."""
    from pal_backend.core.choice import SMALL, Source

    return [SMALL, *(f"{source}:" for source in (Source.TORCHVISION, Source.TIMM, Source.FEATURES))]


def tunings() -> list[str]:
    """Every way of tuning."""
    from pal_backend.core.choice import Tuning

    return list(Tuning)
