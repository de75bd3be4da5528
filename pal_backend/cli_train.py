"""``pal train`` and ``pal evaluate``: for people who work without Label Studio; neither needs Redis, but for a project's name."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pal_backend.cli_bars import bars, loss_of, told
from pal_backend.cli_completion import projects
from pal_backend.cli_options import AsJson, BackboneSpec, Device, RecipeName, Side, TuningName, WeightsFile
from pal_backend.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Progress

    from pal_backend.folder_training import Outcome, Reporter
    from pal_backend.store.version_files import Version
    from pal_backend.version_evaluation import Evaluation

FromFolders = Annotated[bool, typer.Option("--labels-from-folders", help="The sub-folder of each image is its class.")]
STOPPED = 130
"""Exit code, as of anything that is interrupted."""
LARGEST_LABELS = 1_000_000_000
"""Bytes of a file of labels."""


def train(
    *,
    images: Annotated[Path, typer.Option(metavar="FOLDER", help="The images, in sub-folders or not.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the version goes; a new folder.")],
    recipe: RecipeName = "simclr",
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Answers, one annotation a line, as the answers.jsonl of a version has them."
        ),
    ] = None,
    labels_from_folders: Annotated[
        bool,
        typer.Option(
            "--labels-from-folders",
            help="For trying out: answers are made up, from the sub-folder that each image lies in.",
        ),
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="How many answers --labels-from-folders makes.")] = 500,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Passes over the images.")] = 30,
    batch: Annotated[
        int, typer.Option(min=8, max=16_384, help="Images in a batch; the loss sees two views of each.")
    ] = 256,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same features.")] = 0,
    backbone: BackboneSpec = "",
    weights: WeightsFile = "",
    tuning: TuningName = "",
    image_size: Side = 32,
    device: Device = "auto",
    processes: Annotated[
        int, typer.Option(min=0, max=64, help="That train together; 0: one for each CUDA device, one without.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Train features on a folder of images and answers about them; needs neither Label Studio nor Redis.

    A fifth of the answered pairs, chosen by their hash, is held out: it judges the new features against those before the
    training (PCA of the pixels, or the backbone as it comes). Without answers the views alone teach. Ctrl-C keeps a
    checkpoint in --out, and so does every half minute: the same command goes on there.

    Example:  pal train --images photos/ --answers answers.jsonl --recipe simclr --out photos-v1
    """
    from pal_backend.core.choice import Choice
    from pal_backend.core.recipes import recipe as named
    from pal_backend.folder_training import Wanted, train_folder

    if answers is not None and labels_from_folders:
        raise InputError("--answers and --labels-from-folders were both given; expected one source; leave one out")
    named(recipe)  # told before the images are read
    wanted = Wanted(
        images=images,
        out=out,
        choice=Choice(recipe, backbone, weights, tuning),
        answers=answers,
        simulated=count if labels_from_folders else 0,
        epochs=epochs,
        batch=batch,
        seed=seed,
        device=device,
        side=image_size,
        processes=processes,
    )
    with _stoppable() as should_stop, bars() as progress:
        outcome = train_folder(wanted, _reporter(progress), should_stop)
    if outcome.stopped:
        done = len(outcome.version.metrics["losses"])
        print(f"pal: stopped after {done} of {epochs} epochs; the same command goes on there", file=sys.stderr)
        raise typer.Exit(STOPPED)
    if as_json:
        print(json.dumps(outcome.to_json(out)))
    else:
        _show_outcome(outcome, out)


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="VERSION|PROJECT",
            help="The folder of a version, or the name of a project.",
            autocompletion=projects,
        ),
    ],
    *,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The images it was made from. Default: the project's pool.")
    ] = None,
    labels_from_folders: FromFolders = False,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="NumPy file with a class for each row of the version, (N,); -1: not known."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the held-out fifth.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say how good a version's features are: linear probe, nearest neighbours, ARI, and whether P(same) can be trusted.

    Classes are for scoring alone. Without any, what can be said from held-out answers is said.

    Example:  pal evaluate photos-v1 --images photos/ --labels-from-folders --json
    """
    from pal_backend.version_evaluation import evaluate as measure
    from pal_backend.version_evaluation import load

    if labels is not None and labels_from_folders:
        raise InputError("--labels and --labels-from-folders were both given; expected one source; leave one out")
    version, answers, pool = load(target, None if Path(target).is_dir() or "/" in target else _stores())
    classes = _classes(version, images or (Path(pool) if pool else None), labels, labels_from_folders)
    found = measure(version, answers, classes, seed)
    if as_json:
        print(json.dumps({"target": target, **found.to_json()}))
    else:
        _show_evaluation(found)


def _stores() -> Any:
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores

    return Stores.open(Settings.from_env())


def _classes(version: Version, images: Path | None, labels: Path | None, folders: bool) -> NDArray[np.int64] | None:
    """The classes by the options, in the order of the version's rows; None if there were none.

    Raises:
        InputError: they cannot be had.
    """
    if labels is not None:
        return read_labels(labels)
    if not folders:
        return None
    if images is None:
        raise InputError("--labels-from-folders has no images to look at; give --images FOLDER too")
    from pal_backend.class_folders import read_folder
    from pal_backend.version_evaluation import labels_of

    folder = read_folder(images, 8)  # for their ids: what they show is not looked at
    return labels_of(version, dict(zip(folder.ids, folder.labels().tolist(), strict=True)))


def read_labels(path: Path) -> NDArray[np.int64]:
    """Whole numbers (N,) from a NumPy file; no object is ever read from it.

    Raises:
        InputError: it is not there, too large, or holds something else.
    """
    import numpy as np

    try:
        if path.stat().st_size > LARGEST_LABELS:
            raise InputError(
                f"{path} has more than {LARGEST_LABELS / 1e9:g} GB; expected a whole number for each sample"
            )
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; expected a file that numpy.save wrote") from None
    except (ValueError, OSError, EOFError) as problem:
        raise InputError(f"{path} cannot be read as a NumPy array of numbers: {problem}") from None
    if not isinstance(found, np.ndarray) or found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise InputError(f"{path} holds no whole numbers (N,); expected one for each row of the version")
    return found.astype(np.int64)


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C or SIGTERM asks the training to keep a checkpoint and end; a second one ends at once."""
    asked: list[int] = []

    def handle(signum: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(signum)

    before = {signum: signal.signal(signum, handle) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _reporter(progress: Progress) -> Reporter:
    """A bar for each part of the work; that of the epochs tells the loss and its parts."""
    from pal_backend.folder_training import Reporter

    return Reporter(
        reading=lambda done, of: told(progress, "images", done, of),
        asking=lambda done, of: told(progress, "answers", done, of),
        epoch=lambda state: told(progress, "epochs", state["epoch"], state["of"], loss_of(state)),
        pretext=lambda state: told(progress, "pretext", state["epoch"], state["of"], loss_of(state)),
    )


def _show_outcome(outcome: Outcome, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    about = outcome.version.metrics
    learned = f"{about['losses'][0]:.3f} → {about['losses'][-1]:.3f}" if about["losses"] else "nothing learned"
    lost = f", {outcome.unknown} of them on images that are not there" if outcome.unknown else ""
    table = Table(title=str(out), show_header=False)
    rows = (
        ("samples", f"{len(outcome.version.sample_ids)}" + (f", {outcome.set_aside} files set aside" if outcome.set_aside else "")),
        ("answers", f"{outcome.answers}{lost}"),
        ("trained", f"{outcome.version.recipe}, {about['backbone']} ({about['tuning']}), {len(about['losses'])} epochs"
                    f" in {about['seconds']:.0f} s" + (", resumed" if outcome.resumed else "")),
        ("loss", learned),
        ("prior", f"{about['precision']:.0%} of the neighbours are the same, as far as answers tell"),
        ("judged", outcome.version.note),
    )  # fmt: skip
    for name, text in rows:
        table.add_row(name, Text(text))
    Console().print(table)


def _show_evaluation(found: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"version {found.version}, recipe {found.recipe}, {found.answers} answers", show_header=False)
    classes, judged = found.by_classes, found.calibration
    if classes is None:
        table.add_row("classes", "none given: --labels FILE or --labels-from-folders")
    else:
        table.add_row("linear probe", f"{classes.probe:.3f} on {classes.held_out} of {classes.samples} samples")
        table.add_row("20 nearest by cosine", f"{classes.knn:.3f} on the same")
        table.add_row("ARI of k-means", f"{classes.kmeans_ari:.3f}, told that there are {classes.classes} classes")
        if classes.beliefs_ari is not None:
            unseen = f"; {classes.beliefs_ari_unseen:.3f} over samples that no answer is about"
            table.add_row("ARI of the groups", f"{classes.beliefs_ari:.3f} ({classes.groups} groups){unseen}")
    if judged is None:
        table.add_row("P(same)", "no held-out answers to judge by")
    else:
        auc = "" if judged.auc is None else f", AUC {judged.auc:.3f}"
        table.add_row(
            "P(same)", f"ECE {judged.ece:.3f}, Brier {judged.brier:.3f}{auc} on {judged.pairs} held-out answered pairs"
        )
    Console().print(table)


COMMANDS = (train, evaluate)
