"""``pal export`` and ``pal import-answers``: what is taken home, and answers that come from elsewhere."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pal_backend.cli_options import AsJson
from pal_backend.errors import InputError, NotFoundError
from pal_backend.exports.kinds import KINDS

if TYPE_CHECKING:
    from pal_backend.exports.answers import Taken
    from pal_backend.exports.pushed import Pushed
    from pal_backend.exports.snapshot import Snapshot
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores

Format = StrEnum("Format", {kind.name.upper(): kind.name for kind in KINDS})  # type: ignore[misc]  # made from the table
NEW = "new"


def export(
    name: Annotated[
        str, typer.Argument(metavar="[PROJECT]", help="Project; may be left out when there is only one.")
    ] = "",
    *,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="csv, jsonl, parquet: a row for each file with group, name, confidence, and whether a person answered on it. "
            "card: a page about how it came about and how good it is. embeddings, model, edges, answers. Default: csv.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: a name made of project and kind, here.")
    ] = None,
    to_label_studio: Annotated[
        str,
        typer.Option(
            metavar="new|ID",
            help="Push the groups as predictions into a classification project of Label Studio, for review: that with this "
            "id, or one of ours that is made if it is not there. Again: what is there is brought up to date.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Take home the group of every image, with names and confidence; or the model, the answers, a data card.

    Example:  pal export --format card   or   pal export birds --to-label-studio new
    """
    from pal_backend.cli_report import only_project
    from pal_backend.exports.making import make, write
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores

    settings = Settings.from_env()
    stores = Stores.open(settings)
    project = only_project(stores, name)
    if to_label_studio:
        if form is not None or out is not None:
            raise InputError("--to-label-studio writes no file; leave out --format and --out, or export twice")
        _show_pushed(_push(settings, stores, project, to_label_studio), as_json=as_json)
        return
    kind = next(kind for kind in KINDS if kind.name == (form or "csv"))
    what = "groups" if kind.name in ("csv", "jsonl", "parquet") else kind.name
    place = out or Path(f"{project}-{what}.{kind.ending}")
    made = make(_snapshot(settings, stores, project), kind.name)
    write(made, place)
    if as_json:
        print(
            json.dumps(
                {
                    "project": project,
                    "format": kind.name,
                    "out": str(place),
                    "bytes": len(made.data),
                    "holds": made.holds,
                }
            )
        )
    else:
        print(f"{made.holds} in {place}")


def import_answers(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Answers, as `pal export --format answers` writes them.")
    ] = None,
    *,
    project: Annotated[str, typer.Option(help="Project that takes them in; needed where there are several.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Only say what was taken in.")] = False,
    remove: Annotated[str, typer.Option(metavar="ID", help="Take an import out again.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let the answers of another project count in this one too; the same file again changes nothing.

    Answers on images that are not in the pool are left out and counted. Example:  pal import-answers birds.jsonl --project finches
    """
    from pal_backend.cli_report import only_project
    from pal_backend.exports import answers as taking
    from pal_backend.queues import Queues
    from pal_backend.settings import Settings
    from pal_backend.store.imports import Imports
    from pal_backend.store.stores import Stores

    if (file is not None) + show + bool(remove) != 1:
        raise InputError("give one of FILE, --list and --remove ID")
    settings = Settings.from_env()
    stores = Stores.open(settings)
    name = only_project(stores, project)
    imports = Imports(stores.artefacts, name)
    if show:
        _show_imports([asdict(one) for one in imports.known()], as_json=as_json)
        return
    if file is not None:
        taken = taking.take_in(stores, name, _read(file), str(file), time.time())
        print(json.dumps(asdict(taken)) if as_json else _told(taken))
        if not taken.id:
            return
    else:
        imports.remove(remove)
        print(json.dumps({"removed": remove}) if as_json else f"import {remove} is taken out again")
    taking.tell(stores, name, time.time())
    Queues(settings.redis_url).learn(name)


def _snapshot(settings: Settings, stores: Stores, project: str) -> Snapshot:
    from pal_backend.choosing import Operator
    from pal_backend.credentials import Credentials
    from pal_backend.exports.snapshot import Snapshot

    operator = Operator.of(settings, Credentials.kept(settings))
    return Snapshot.of(stores, project, operator, now=time.time(), device=settings.device)


def _push(settings: Settings, stores: Stores, project: str, target: str) -> Pushed:
    from dataclasses import replace

    from pal_backend.cli_bars import bars, told
    from pal_backend.credentials import Credentials
    from pal_backend.exports.pushing import Pusher
    from pal_backend.label_studio import LabelStudio
    from pal_backend.media import MediaLinks

    if target != NEW and not (target.isascii() and target.isdecimal() and len(target) < 10):
        raise InputError(f"--to-label-studio {target!r:.40}; expected new, or the number of a Label Studio project")
    credentials = Credentials.load_or_create(settings)
    pusher = Pusher(
        LabelStudio(settings.label_studio_url, credentials.label_studio_token),
        MediaLinks(credentials.media_key, settings.public),
    )
    with bars() as progress:
        snapshot = replace(
            _snapshot(settings, stores, project),
            progress=lambda state: told(progress, str(state["doing"]), state["done"], state.get("of", state["done"])),
        )
        return pusher.push(snapshot, None if target == NEW else int(target))


def _show_pushed(pushed: Pushed, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(pushed.to_json()))
        return
    print(f"{pushed.title}: {pushed.sentence}, as version {pushed.model_version}")
    for label, count in sorted(pushed.unknown.items()):
        print(f"no prediction for the {count:,} samples of {label!r}: the project's config has no such choice")
    for note in pushed.notes:
        print(note)
    print(pushed.url)


def _read(file: Path) -> bytes:
    from pal_backend.exports.answers import MAX_BYTES

    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as problem:
        raise NotFoundError(f"{file} cannot be read: {problem.strerror}; give a file that was exported") from None


def _told(taken: Taken) -> str:
    """What an import came to, line by line."""
    counts = {
        "annotations are new": taken.new,
        "are newer than before": taken.changed,
        "were here already": taken.known,
        "are this project's own": taken.own,
        "are about images that are not in the pool": taken.unknown,
        "answers left out, since an image of theirs is not in the pool": taken.unknown_answers,
    }
    lines = [f"{count:6,} {words}" for words, count in counts.items() if count]
    undo = (
        [f"take them out again with: pal import-answers --remove {taken.id}"] if taken.id else ["nothing has changed"]
    )
    return "\n".join([*lines, *undo])


def _show_imports(imports: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(imports))
        return
    for one in imports:
        print(f"{one['id']}  {one['annotations']:,} annotations, {one['answers']:,} answers")
    if not imports:
        print("nothing was taken in")


COMMANDS = (export, import_answers)
