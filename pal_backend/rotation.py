"""A new key for the pictures' URLs: links that were handed out before stop working, open questions get new ones."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pal_backend import wire
from pal_backend.core.vocabulary import Medium
from pal_backend.credentials import Credentials
from pal_backend.label_studio import LabelStudio
from pal_backend.media import MediaLinks
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores


def rotate_media(
    settings: Settings, stores: Stores, label_studio: LabelStudio, progress: Callable[[str], None] = lambda text: None
) -> int:
    """Make a new media key and rewrite the tasks that wait for an answer; returns how many were rewritten.

    The key is saved first: killed half-way, running it again rewrites all of them under yet another key. Web process and
    workers read the key when they start.

    Raises:
        UnavailableError: Label Studio cannot be reached.
    """
    credentials = replace(Credentials.kept(settings), media_key=secrets.token_hex(32))
    credentials.save(settings)
    links = MediaLinks(credentials.media_key, settings.public)
    rewritten = 0
    for name in stores.projects.names():
        project = stores.projects.get(name)
        if project.medium is Medium.TEXT:  # texts stand in the tasks, there are no links
            continue
        for desk in project.desks:
            if desk.retired:
                continue
            progress(f"{name}/{desk.name}")
            for task in label_studio.tasks(desk.project_id, unlabelled=True):
                meta = wire.TaskMeta.from_json(task.raw.get("meta"))
                if meta is None or (meta.project, meta.desk) != (name, desk.name):
                    continue
                fresh = wire.task_json(
                    meta.question,
                    project=name,
                    desk=desk.name,
                    media_url=partial(links.url, name),
                    small_url=partial(links.small, name),
                )
                label_studio.patch_task(task.id, data=fresh["data"])
                rewritten += 1
    return rewritten
