"""``pal init`` and ``pal sync``: the commands that change what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pal_backend import cli_completion
from pal_backend.cli_options import AsJson, ProjectName
from pal_backend.core.vocabulary import Medium, Opinion
from pal_backend.errors import InputError

if TYPE_CHECKING:
    from pal_backend.credentials import Credentials
    from pal_backend.settings import Settings
    from pal_backend.store.projects import Project
    from pal_backend.store.stores import Stores


WHERE = "a folder, FILE.csv, FILE.jsonl, s3://bucket/prefix, or label-studio:ID, a project with your tasks"


class Kind(StrEnum):
    """What a desk asks."""

    PAIRS = "pairs"
    SCREENS = "screens"


def init(
    name: Annotated[
        str,
        typer.Argument(
            help="Short name of the project: lower-case letters, digits, hyphens.",
            autocompletion=cli_completion.projects,
        ),
    ],
    *,
    images: Annotated[Path | None, typer.Option(help="Folder of images; the same as --pool FOLDER.")] = None,
    pool: Annotated[
        str | None,
        typer.Option(metavar="WHERE", help="Where the samples are: " + WHERE + ". Needed for a new project."),
    ] = None,
    kind: Annotated[
        Medium | None, typer.Option(help="What the samples of a new project are. Default: image.", show_default=False)
    ] = None,
    questions: Annotated[
        Kind,
        typer.Option(help="Two images, or an anchor with candidates to tick. Run again for a desk of the other kind."),
    ] = Kind.PAIRS,
    desk: Annotated[str, typer.Option(help="Name of the desk. Default: pairs or screens.")] = "",
    adopt: Annotated[
        int | None, typer.Option(metavar="ID", help="Use this project of Label Studio instead of a new one.")
    ] = None,
    prelabel: Annotated[
        bool, typer.Option(help="Show annotators the guess. It biases them just where they teach most.")
    ] = False,
    title: Annotated[str, typer.Option(help="Title of the project in Label Studio.")] = "",
    question_text: Annotated[str | None, typer.Option(help="The question that stands above two images.")] = None,
    candidates: Annotated[int | None, typer.Option(min=2, max=50, help="Candidates on a screen.")] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How questions are chosen; `pal strategies` lists the ways. A new project: as its recipe does.",
        ),
    ] = None,
    opinion: Annotated[
        Opinion | None,
        typer.Option(help="Second opinion: a classifier on the features, or on the exact solver's embedding."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same questions.")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How it is trained; `pal recipes` lists the ways.",
            autocompletion=cli_completion.recipes,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="small, torchvision:NAME, timm:NAME, package.module:factory, features:FILE.npy, or an installed one. "
            "Of texts: tfidf, features:FILE.npy, package.module:function, or an installed one.",
            autocompletion=cli_completion.backbones,
        ),
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="The backbone's weights.")] = None,
    tuning: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="What learns of the backbone: full, head or frozen.",
            autocompletion=cli_completion.tunings,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a project in Label Studio, or adopt one, connect it and take in the images; mends what is wrong when run again.

    `pal serve` must be running. What is new in the pool joins later by itself, or with `pal sync`; docs/pools.md.

    Example:  pal init birds --images ~/birds

    Others:  pal init birds --pool s3://bucket/birds  and  pal init news --pool texts.jsonl --kind text
    """
    from rich.console import Console

    from pal_backend.choosing import asking
    from pal_backend.core.vocabulary import QuestionKind
    from pal_backend.credentials import Credentials
    from pal_backend.joining import Joiner, Wanted
    from pal_backend.label_studio import LabelStudio
    from pal_backend.queues import Queues
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores
    from pal_backend.team import way_in

    if strategy is not None:
        from pal_backend.core.asking.strategies import strategy as named

        named(strategy)  # an unknown name, or one that cannot be imported, is told before anything is made
    settings = Settings.from_env()
    stores, credentials, console = Stores.open(settings), Credentials.load_or_create(settings), Console(stderr=True)
    kept = stores.projects.find(name)
    strategy, about_asking = asking(name, recipe, strategy, kept.strategy if kept else None)
    given = {"question_text": question_text, "candidates": candidates, "strategy": strategy, "opinion": opinion}
    given["seed"] = seed
    where = _where(images, pool)
    project = _project(stores, name, where, kind, {key: value for key, value in given.items() if value is not None})
    learning = {"recipe": recipe, "backbone": backbone, "weights": weights, "tuning": tuning}
    if any(part is not None for part in learning.values()):
        project = _learning(project, stores, settings, credentials, learning)
    question = QuestionKind.PAIR if questions is Kind.PAIRS else QuestionKind.SCREEN
    wanted = Wanted(desk or str(questions), question, prelabel, adopt, title)
    label_studio = LabelStudio(settings.label_studio_url, credentials.label_studio_token)
    joined = Joiner(
        stores, label_studio, settings, credentials, lambda text: console.print(f"· {text}", markup=False)
    ).join(project, wanted)
    if about_asking:
        console.print(f"· {about_asking}", markup=False)
    queues = Queues(settings.redis_url)
    queues.ingest(name)
    queues.reconcile(name, "pal init")
    queues.examine(name)
    if not queues.workers():
        console.print("· no worker runs yet: start one with `python -m worker`", markup=False)
    console.print(f"· {way_in(settings)}", markup=False)
    console.print("· open this page and press Label All Tasks:", markup=False)
    place = f"{settings.label_studio_url}/projects/{joined.desk.project_id}/data"
    if as_json:
        about = {"project": name, "desk": joined.desk.name, "label_studio_project": joined.desk.project_id}
        print(json.dumps({**about, "label_here": place}))
    else:
        print(place)


def _where(images: Path | None, pool: str | None) -> str | None:
    """The pool that was named, by whichever option."""
    if images is not None and pool is not None:
        raise InputError("--images and --pool both say where the samples are; give one of them")
    if images is not None and not images.is_dir():
        raise InputError(f"{images} is not a folder; --images takes the folder that holds the images")
    return str(images) if images is not None else pool


def _project(stores: Stores, name: str, where: str | None, kind: Medium | None, given: dict[str, object]) -> Project:
    """The project as kept, with what was given laid over it, or a new one; not saved.

    Raises:
        InputError: a new project without a pool, a pool that is none, or another kind than the project has.
        NotFoundError: a manifest that is not there.
    """
    from pal_backend.pool_sources import read_pool
    from pal_backend.store.projects import Project

    kept = stores.projects.find(name)
    if kept is None and where is None:
        known = ", ".join(stores.projects.names()) or "none"
        raise InputError(
            f"there is no project {name!r} yet (there are: {known}); say where its samples are with --pool"
        )
    if kept is not None and kind not in (None, kept.medium):
        raise InputError(f"{name} is a project of {kept.medium}s and stays so; make another project for {kind}s")
    medium = kept.medium if kept is not None else kind or Medium.IMAGE
    if where is not None:
        given = {**given, "pool": read_pool(where, medium)}
    project = kept or Project(name=name, pool="", desks=(), medium=medium)
    return replace(project, **given)  # type: ignore[arg-type]  # the command line has checked each


def _learning(
    project: Project, stores: Stores, settings: Settings, credentials: Credentials, said: dict[str, str | None]
) -> Project:
    """The project as it was told to learn; what cannot be used is told before anything is made.

    Raises:
        PalError: an unknown name, a file that does not fit, a network that is none.
    """
    import torch

    from pal_backend.backbones import backbone
    from pal_backend.choosing import Operator, initialised, settled
    from pal_backend.core.choice import BackboneName, Source
    from pal_backend.given_features import look
    from pal_backend.text_features import text_backbone

    operator = Operator.of(settings, credentials)
    project = initialised(project, operator, **said)
    found = settled(project, stores, operator)
    name = BackboneName.parse(found.backbone)
    if name.source is Source.FEATURES:
        look(Path(name.name))
    elif project.medium is Medium.TEXT:
        if name.source is not Source.TFIDF:
            text_backbone(found.backbone)
    else:
        make = backbone(found.backbone, Path(found.weights) if found.weights else None)
        make(3, settings.image_size, torch.Generator().manual_seed(settings.seed))
    return project


def sync(
    name: ProjectName = "",
    *,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Annotations that vanished all at once were deleted on purpose.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="They were lost: our answers stand.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare with Label Studio now, and put back what Redis lost.

    Example:  pal sync --accept-deletions
    """
    import time

    from pal_backend import recovery
    from pal_backend.cli_report import only_project
    from pal_backend.credentials import Credentials
    from pal_backend.label_studio import LabelStudio
    from pal_backend.queues import Queues
    from pal_backend.reconcile import Decision, Reconciler
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores

    if accept_deletions and keep:
        raise InputError("--accept-deletions and --keep say the opposite of each other; give one of them")
    decision = Decision.ACCEPT if accept_deletions else Decision.KEEP if keep else Decision.WAIT
    settings = Settings.from_env()
    stores = Stores.open(settings)
    project = only_project(stores, name)
    token = Credentials.load_or_create(settings).label_studio_token
    reconciler = Reconciler(stores, LabelStudio(settings.label_studio_url, token), time.time)
    done = recovery.sync(project, stores, reconciler, Queues(settings.redis_url), decision)
    if as_json:
        print(json.dumps(done.to_json()))
    else:
        _show_sync(done.to_json())


def _show_sync(counts: dict[str, object]) -> None:
    """One line for each thing that was found."""
    words = {
        "restored": "annotations of retired desks put back",
        "read": "annotations in Label Studio",
        "added": "of them new to us",
        "updated": "changed since",
        "withdrawn": "withdrawn",
        "held": "held: they vanished all at once; decide with --accept-deletions or --keep",
        "kept": "stand by decision",
        "unreadable": "could not be read",
        "lost_questions": "open questions whose task is gone",
    }
    for field, text in words.items():
        if counts.get(field) or field == "read":
            print(f"{counts.get(field, 0):6} {text}")


def rotate_media(*, as_json: AsJson = False) -> None:
    """Make a new key for the pictures' URLs; links handed out before stop working, open questions get new ones.

    Stop `pal serve` and the workers first, and start them again afterwards. Example:  pal rotate-media
    """
    from rich.console import Console

    from pal_backend.credentials import Credentials
    from pal_backend.label_studio import LabelStudio
    from pal_backend.rotation import rotate_media as rotate
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores

    settings, console = Settings.from_env(), Console(stderr=True)
    token = Credentials.load_or_create(settings).label_studio_token
    label_studio = LabelStudio(settings.label_studio_url, token)
    label_studio.whoami()  # a wrong token must not cost the old key
    done = rotate(settings, Stores.open(settings), label_studio, lambda text: console.print(f"· {text}", markup=False))
    if as_json:
        print(json.dumps({"questions": done}))
    else:
        print(f"{done} open questions have new links; start `pal serve` and the workers again")


COMMANDS = (init, sync, rotate_media)
