"""``pal simulate``: what a budget of answers buys, before people spend time on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pal_backend.cli_bars import bars, loss_of, told
from pal_backend.cli_options import AsJson, BackboneSpec, Device, RecipeName, Side, TuningName, WeightsFile
from pal_backend.core.vocabulary import Opinion
from pal_backend.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

    from pal_backend.core.choice import Choice
    from pal_backend.simulation import SimulationResult
    from pal_backend.simulation_training import Retraining


class Kind(StrEnum):
    """What the simulated annotator is asked."""

    PAIRS = "pairs"
    SCREENS = "screens"
    MIXED = "mixed"


def simulate(
    *,
    features: Annotated[Path | None, typer.Option(help="NumPy file with the features, (N, D).")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="NumPy file with the true classes, (N,); only the annotator sees them.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Instead of both: images in class folders, with retraining on the way."),
    ] = None,
    recipe: RecipeName = "simclr",
    train_every: Annotated[int, typer.Option(min=1, help="With --images: answers between two trainings.")] = 200,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="With --images: of each training.")] = 30,
    backbone: BackboneSpec = "",
    weights: WeightsFile = "",
    tuning: TuningName = "",
    image_size: Side = 32,
    device: Device = "auto",
    answers: Annotated[int, typer.Option(min=1, help="How many pairs are answered in all.")] = 500,
    error_rate: Annotated[float, typer.Option(help="How often the annotator is wrong, 0 to 0.5.")] = 0.0,
    questions: Annotated[
        Kind, typer.Option(help="Two images, an anchor with candidates to tick, or what pays.")
    ] = Kind.PAIRS,
    candidates: Annotated[int, typer.Option(min=1, help="Candidates on a screen.")] = 8,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How questions are chosen; `pal strategies` lists the ways. Default: as the recipe does.",
        ),
    ] = "",
    opinion: Annotated[
        Opinion,
        typer.Option(help="Second opinion: a classifier on the features, or on the exact solver's embedding."),
    ] = Opinion.KERNEL,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same questions.")] = 0,
    budgets: Annotated[str, typer.Option(metavar="N,N,…", help="Numbers of answers to score at.")] = "",
    open_questions: Annotated[int, typer.Option(min=1, help="Questions open at once, as in the live system.")] = 1,
    seconds_per_pair: Annotated[
        float | None, typer.Option(help="A person's time for a pair. Assumed when left out: 4.")
    ] = None,
    seconds_per_screen: Annotated[
        float | None, typer.Option(help="For a full screen. Assumed when left out: 4, and 1 for each candidate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the code that serves Label Studio with a simulated annotator.

    With --images it retrains on the way: new features are taken into use if they explain held-out answers no worse.

    Example:  pal simulate --features X.npy --labels y.npy --answers 500 --budgets 100,200 --json
    """
    from pal_backend.core.asking.strategies import strategy as named
    from pal_backend.core.choice import Choice
    from pal_backend.core.recipes import recipe as row

    points = _budgets(budgets)
    strategy = strategy or row(recipe).asking
    named(strategy)  # told before the files are read and the neighbours found
    _either(features, labels, images)
    plan = Plan(Choice(recipe, backbone, weights, tuning), strategy, train_every, epochs, seed, image_size, device)

    from pal_backend.core.solver_space import space_with
    from pal_backend.simulation import simulate as run

    with bars() as progress:
        world = _pictured(images, plan, progress) if images else World(_load(features), _load(labels))
        result = run(
            world.features,
            world.labels,
            ids=world.ids,
            retraining=world.retraining,
            difficulty=world.difficulty,
            answers=answers,
            error_rate=error_rate,
            questions=str(questions),
            candidates=candidates,
            strategy=strategy,
            space=space_with(opinion),
            seed=seed,
            budgets=points,
            open_questions=open_questions,
            seconds_per_pair=seconds_per_pair,
            seconds_per_screen=seconds_per_screen,
            progress=lambda done, of: told(progress, "answers", min(done, of), of),
        )
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        _show(result)


@dataclass(frozen=True)
class Plan:
    """How features come about and are retrained."""

    choice: Choice
    strategy: str
    every: int
    epochs: int
    seed: int
    side: int
    device: str


@dataclass(frozen=True, eq=False)
class World:
    """What is simulated on: features (N, D), classes (N,), and with images what retrains, and losses (N,) of a pretext task
    where recipe or strategy ask for them."""

    features: Any
    labels: Any
    ids: tuple[str, ...] = ()
    retraining: Retraining | None = None
    difficulty: Any = None


def _either(features: Path | None, labels: Path | None, images: Path | None) -> None:
    """Raises:
    InputError: neither features with labels nor images were given, or both.
    """
    given = " ".join(
        name for name, path in (("--features", features), ("--labels", labels), ("--images", images)) if path
    )
    if given not in ("--features --labels", "--images"):
        raise InputError(
            f"found {given or 'neither features nor images'}; expected --features FILE with --labels FILE, or --images "
            "FOLDER with a sub-folder for each class; give one or the other"
        )


def _pictured(images: Path, plan: Plan, progress: Progress) -> World:
    """Images in class folders, their features before any training, and what retrains.

    Raises:
        PalError: they, the recipe or the backbone cannot be used.
    """
    from pal_backend.class_folders import read_folder
    from pal_backend.core.learning.settings import TrainingSettings
    from pal_backend.core.recipes import pretext_of, recipe
    from pal_backend.coverage import Given
    from pal_backend.material import material_of
    from pal_backend.pretexts import difficulty_for
    from pal_backend.simulation_training import Retraining

    choice = plan.choice.check()
    settings = TrainingSettings.of(recipe(choice.recipe), epochs=plan.epochs, seed=plan.seed, device=plan.device)
    folder = read_folder(images, plan.side, lambda done, of: told(progress, "images", done, of))
    labels = folder.labels()
    retraining = Retraining(
        material_of(choice, folder.images, folder.samples),
        settings,
        plan.every,
        lambda state: told(progress, "training", state["epoch"], state["of"], loss_of(state)),
    )
    features = Given.of(choice, folder.images).features(folder.samples, plan.device)
    losses = difficulty_for(
        pretext_of(choice.recipe, plan.strategy),
        None,
        folder.ids,
        folder.images,
        seed=plan.seed,
        device=plan.device,
        progress=lambda state: told(progress, "pretext", state["epoch"], state["of"], loss_of(state)),
    )
    return World(features, labels, folder.ids, retraining, losses)


def _budgets(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(
            f"--budgets {text!r} is not a list of whole numbers; expected for example 50,100,200"
        ) from None


def _load(path: Path | None) -> Any:
    """An array that holds no objects: those could run code when they are read."""
    import numpy as np

    assert path is not None
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; expected a file that numpy.save wrote") from None
    except (ValueError, OSError, EOFError) as problem:
        raise InputError(f"{path} cannot be read as a NumPy array of numbers: {problem}") from None


def _show(result: SimulationResult) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    trained = result.trainings is not None
    names = ["asked", "screens", "min", "ARI", "unseen", "NMI", "right", "by the checks", "groups"]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0))  # fits into 80 columns
    for name in names + ["probe", "version"] * trained:
        table.add_column(name, no_wrap=True)
    for point in result.curve:
        scores = (point.ari, point.ari_unseen, point.nmi, point.accuracy)
        counts = (str(point.answers), str(point.screens), f"{point.seconds / 60:.1f}")
        checks = (
            ""
            if point.estimated is None
            else f"{_share(point.estimated, 2)} ({_share(point.low, 2)}-{_share(point.high, 2)})"
        )
        space = (_share(point.probe), str(point.version)) if trained else ()
        table.add_row(*counts, *map(_share, scores), checks, str(point.groups), *space)
    reached = ", ".join(f"ARI {value} after {at if at is not None else '—'}" for value, at in result.reach.items())
    console = Console()
    console.print(table)
    console.print("min: a person's minutes · unseen: ARI of samples never shown · right: share in the right group")
    for each in result.trainings or ():
        console.print(f"{each.version} after {each.answers} answers, {each.seconds:.0f} s: {each.reason}", markup=False)
    console.print(f"{reached} · {result.ms_per_question:.0f} ms a question · {result.seconds:.1f} s in all")


def _share(value: float | None, digits: int = 3) -> str:
    """A number up to 1 without the zero before the point; empty if there is none."""
    return "" if value is None else f"{value:.{digits}f}".removeprefix("0")


COMMANDS = (simulate,)
