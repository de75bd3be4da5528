"""What the page of questions shows of how a project asks and learns, and what a lead may choose instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pal_backend.choosing import Chosen
from pal_backend.controls import MOST_OPEN
from pal_backend.core.recipes import RECIPES
from pal_backend.page_views import PageViews
from pal_backend.status import Asks, asks_of


@dataclass(frozen=True)
class ControlsView:
    """How a project asks and learns now."""

    asks: Asks
    learns: Chosen
    strategies: Sequence[str]
    """To choose from, the one in use among them."""
    recipes: Mapping[str, str]
    """Name to what it is, in a sentence."""
    own_recipe: str
    """What the project itself says; empty: others may."""
    own_open: int
    """Likewise of the number of open questions; 0: others may."""
    most_open: int = MOST_OPEN


def controls_view(views: PageViews, name: str, strategies: Iterable[str]) -> ControlsView:
    """Of one project.

    Args:
        views: its stores.
        name: of the project.
        strategies: there are, by name.

    Raises:
        NotFoundError: there is no such project.
    """
    project = views.stores.projects.get(name)
    learns, asks = asks_of(project, views.stores, views.operator)
    return ControlsView(
        asks=asks,
        learns=learns,
        strategies=sorted({*strategies, project.strategy}),
        recipes={recipe.name: recipe.about for recipe in RECIPES.values()},
        own_recipe=project.recipe,
        own_open=project.open_questions,
    )
