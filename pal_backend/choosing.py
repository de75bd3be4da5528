"""Whose word counts on how a project learns, and what a word from outside may name. Names only; nothing is imported for them.

In this order, each part for itself (a backbone with its weights is one part):

1. ``pal init --recipe … --backbone … --weights … --tuning …``, kept with the project; whoever changes the recipe later, by
   ``pal set`` or on the page of questions, changes that;
2. the extra parameters of the ML backend in Label Studio, of the first desk that says something: whoever may edit that
   project writes them, so they may name any recipe and tuning, but only backbones of the operator's list ``PAL_BACKBONES``,
   and weights only by the name of a file in ``PAL_HOME/weights``;
3. ``PAL_RECIPE``, ``PAL_BACKBONE``, ``PAL_WEIGHTS``, ``PAL_TUNING`` of whoever looks;
4. simclr, small, none, full.

What is kept about a project lies in Redis too. So that writing there cannot make a worker import a module or open a file,
``pal init`` seals their names with a key that only ``secrets.json`` holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pal_backend.core.choice import SMALL, WEIGHT_FILES, BackboneName, Choice, Source, read_tuning
from pal_backend.core.recipes import recipe
from pal_backend.core.vocabulary import Medium
from pal_backend.credentials import Credentials
from pal_backend.errors import AccessError, ConfigError, InputError
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores

INIT = "pal init"
ENVIRONMENT = "environment"
DEFAULT = "default"
FOLDER = "weights"
"""In ``PAL_HOME``: the files that extra parameters may name."""
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z", re.ASCII)


@dataclass(frozen=True)
class Operator:
    """What whoever runs this installation says. The key is hidden from ``repr``."""

    defaults: Choice = field(default_factory=Choice)
    """Of the environment; what is empty was not said."""
    allowed: frozenset[str] = frozenset({SMALL})
    """Backbones that extra parameters may name, each spelt in full."""
    folder: Path = Path(FOLDER)
    key: str = field(default="", repr=False)
    open_questions: int = 10
    """Least number of open questions on a desk, where the project says nothing."""

    @classmethod
    def of(cls, settings: Settings, credentials: Credentials) -> Operator:
        """As the environment and ``secrets.json`` say.

        Raises:
            ConfigError: the environment names a recipe or backbone that cannot be.
        """
        defaults = Choice(settings.recipe, settings.backbone, settings.weights, settings.tuning)
        allowed = frozenset(name.strip() for name in settings.backbones.split(",") if name.strip())
        try:
            _known(defaults)
            for name in allowed:
                BackboneName.parse(name)
        except InputError as problem:
            raise ConfigError(f"PAL_RECIPE, PAL_BACKBONE or PAL_BACKBONES cannot be used: {problem}") from None
        return cls(defaults, allowed, settings.home / FOLDER, credentials.media_key, settings.open_questions)

    def seal(self, project: str, choice: Choice) -> str:
        """HMAC-SHA256 of a project's backbone and weights: that whoever holds the key named them. 64 hex digits."""
        words = json.dumps(["backbone", project, choice.backbone, choice.weights])
        return hmac.new(self.key.encode(), words.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Chosen:
    """How a project learns, complete, and who said so."""

    choice: Choice
    said_by: Mapping[str, str]
    """Of recipe, backbone and tuning: "pal init", "desk NAME", "environment" or "default"; of a recipe that was changed
    since also "pal set" or "a lead"."""


def chosen(project: Project, stores: Stores, operator: Operator) -> Chosen:
    """What counts for a project, by name, as ``pal status`` shows it; :func:`settled` is what a worker may use.

    Raises:
        InputError: something that is kept about it is malformed.
    """
    layers = _layers(project, stores.asked(project.name).all(), operator)
    found = Choice()
    for _, layer in layers:
        found = found.over(layer)
    said_by = {
        "recipe": (project.recipe and project.recipe_by)
        or next((who for who, layer in layers if layer.recipe), DEFAULT),
        "backbone": next((who for who, layer in layers if layer.backbone or layer.weights), DEFAULT),
        "tuning": next((who for who, layer in layers if layer.tuning), DEFAULT),
    }
    return Chosen(found.completed(project.medium), said_by)


def settled(project: Project, stores: Stores, operator: Operator) -> Project:
    """The project with recipe, backbone, weights and tuning as a worker may use them; weights are a path, or empty.

    Raises:
        InputError: the parts do not go together, or a desk asks for what is not allowed here.
        AccessError: the backbone would import code, or open a file, that nobody here has named.
    """
    found = chosen(project, stores, operator)
    choice, said_by = _known(found.choice.check(project.medium)), found.said_by["backbone"]
    if said_by not in (INIT, ENVIRONMENT, DEFAULT):
        allow(choice, operator)
        if choice.weights:
            choice = replace(choice, weights=str(operator.folder / choice.weights))
    elif said_by == INIT and not _vouched_for(project, operator):
        weights = f" with {choice.weights!r:.80}" if choice.weights else ""
        raise AccessError(
            f"project {project.name} has the backbone {choice.backbone!r:.80}{weights}, which is code to import or a file to "
            f"open, but not by the hand of `pal init` with this PAL_HOME; expected that; run `pal init {project.name} "
            "--backbone …` again, or, where this worker has other secrets, list the backbone in PAL_BACKBONES and put the "
            "weights into PAL_HOME/weights"
        )
    return replace(
        project, recipe=choice.recipe, backbone=choice.backbone, weights=choice.weights, tuning=choice.tuning
    )


def ask(project: Project, desk: str, asked: Choice, stores: Stores, operator: Operator) -> None:
    """Keep what a desk's extra parameters ask for; looking at Label Studio's settings changes nothing.

    Raises:
        InputError: they name what they may not, or what does not go with the rest; nothing is kept.
    """
    allow(asked, operator)
    kept = stores.asked(project.name)
    before = kept.all()
    if asked == before.get(desk, Choice()):
        return
    together = Choice()
    for _, layer in _layers(project, {**before, desk: asked}, operator):
        together = together.over(layer)
    together.check(project.medium)
    kept.put(desk, asked)


def initialised(
    project: Project,
    operator: Operator,
    *,
    recipe: str | None,
    backbone: str | None,
    weights: str | None,
    tuning: str | None,
) -> Project:
    """The project as `pal init` was told to let it learn; None leaves a part as it is, "" takes a choice back.

    A backbone comes with its weights: naming one without a file leaves it without. Files are kept with their whole path.

    Raises:
        InputError: a name cannot be read.
    """
    if recipe is not None:
        project = with_recipe(project, recipe, "")
    if tuning is not None:
        project = replace(project, tuning=tuning)
    if backbone is not None:
        name = BackboneName.parse(backbone) if backbone else None
        if name is not None and name.source is Source.FEATURES:
            backbone = f"features:{Path(name.name).absolute()}"
        project = replace(project, backbone=backbone, weights="")
    if weights is not None:
        project = replace(project, weights=str(Path(weights).absolute()) if weights else "")
    choice = _known(project.choice)
    if backbone is None and weights is None:
        return project  # what lies in Redis by somebody else's hand is not vouched for along the way
    return replace(project, seal=operator.seal(project.name, choice))


def with_recipe(project: Project, name: str, by: str) -> Project:
    """The project with another recipe; empty: others may say. What `pal init` sealed stays sealed, and nothing else is.

    Args:
        project: as it is.
        name: of the recipe.
        by: who chose it; empty: `pal init`.

    Raises:
        InputError: there is no such recipe.
    """
    if name:
        recipe(name)
    return replace(project, recipe=name, recipe_by=by if name else "")


def asking(name: str, recipe_name: str | None, strategy: str | None, kept: str | None) -> tuple[str | None, str]:
    """How a project asks after `pal init`, None for as before, with a sentence for a person, "" where there is nothing to say.

    A new project asks as its recipe does, since that is what the recipe's paper is about. One that asks already is left as
    it is: its strategy may have been chosen.

    Args:
        name: of the project.
        recipe_name, strategy: as `pal init` was told; None, or "" for a recipe, for nothing.
        kept: its strategy so far; None for a new project.

    Raises:
        InputError: there is no such recipe.
    """
    fits = recipe(recipe_name).asking if recipe_name else Project.strategy
    if strategy or not recipe_name or fits == (kept or Project.strategy):
        return strategy, ""
    if kept is None:
        return fits, f"questions are chosen by {fits}, as the recipe {recipe_name} does; --strategy chooses otherwise"
    change = f"`pal init {name} --strategy {fits}`"
    return None, f"questions are chosen by {kept}; the recipe {recipe_name} goes with {fits}: {change} changes it"


def allow(asked: Choice, operator: Operator) -> None:
    """Let extra parameters pass that name nothing but what they may.

    Raises:
        InputError: they name anything else.
    """
    _known(asked)
    backbone = asked.backbone or SMALL
    if (asked.backbone or asked.weights) and backbone not in operator.allowed:
        raise InputError(
            f"the extra parameters ask for the backbone {backbone!r:.80}; expected one that the operator allows: "
            f"{', '.join(sorted(operator.allowed)) or 'none'}; add it to PAL_BACKBONES, or choose it with `pal init --backbone`"
        )
    if asked.weights and not (_FILE.match(asked.weights) and Path(asked.weights).suffix in WEIGHT_FILES):
        raise InputError(
            f"the extra parameters ask for the weights {asked.weights!r:.80}; expected the name of a file in the operator's "
            f"folder of weights, ending in {', '.join(WEIGHT_FILES)}; give the name alone"
        )


def _layers(project: Project, asked: Mapping[str, Choice], operator: Operator) -> list[tuple[str, Choice]]:
    """Who says what, whoever counts most first."""
    desks = [
        (f"desk {desk.name}", asked[desk.name]) for desk in project.desks if desk.name in asked and not desk.retired
    ]
    said = [(INIT, project.choice), *desks]
    # What the environment says is meant for images; a text project beside them must not fail for it.
    return said if project.medium is Medium.TEXT else [*said, (ENVIRONMENT, operator.defaults)]


def _known(choice: Choice) -> Choice:
    """``choice``, if what it says can be read."""
    if choice.recipe:
        recipe(choice.recipe)
    if choice.backbone:
        BackboneName.parse(choice.backbone)
    if choice.tuning:
        read_tuning(choice.tuning)
    return choice


def _vouched_for(project: Project, operator: Operator) -> bool:
    """Whether opening a project's files and importing its code is the operator's wish. Other names pick among what is there."""
    choice = project.choice
    if hmac.compare_digest(operator.seal(project.name, choice).encode(), project.seal.encode()):
        return True
    listed = choice.backbone in operator.allowed or choice.backbone == operator.defaults.backbone
    source = BackboneName.parse(choice.backbone or SMALL).source
    file = Path(choice.weights)
    return (listed or source not in (Source.FACTORY, Source.FEATURES)) and (
        not choice.weights or choice.weights == operator.defaults.weights or file == operator.folder / file.name
    )
