"""`pal init`: a Label Studio project becomes a desk, and is mended when it is one already.

Running it again changes nothing that is right. A desk's Label Studio project is known again by a line in its description,
or by the address of its ML backend, so that it can be adopted after ``.pal/`` was lost. When Label Studio was lost
instead, the old desk is retired (its answers stand, annotation ids would start anew) and the next one is ``<desk>-2``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from label_config import parse, render
from pal_backend.core.vocabulary import Medium, QuestionKind
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.errors import ConfigError, InputError
from pal_backend.joining_search import Found, Search, Wanted, leads_to, marker
from pal_backend.label_studio import BasicAuth, LabelStudio
from pal_backend.label_studio_values import RemoteBackend, RemoteProject, RemoteWebhook
from pal_backend.settings import Settings
from pal_backend.store.imports import IMPORTED
from pal_backend.store.projects import QUESTION_TEXT, Desk, Project
from pal_backend.store.stores import Stores

__all__ = ["Joined", "Joiner", "Wanted", "backend_url"]

logger = logging.getLogger(__name__)

SAMPLING = "Uncertainty sampling"
ACTIONS = (
    *("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"),
    *("TASKS_CREATED", "TASKS_DELETED", "PROJECT_UPDATED"),
)
"""What the webhook tells us; START_TRAINING comes to the ML backend's address by itself."""


def _silent(text: str) -> None:
    """Progress that nobody watches."""


def backend_url(settings: Settings, project: str, desk: str) -> str:
    """Where Label Studio finds a desk's ML backend."""
    return f"{settings.backend}/p/{project}/{desk}"


@dataclass(frozen=True)
class Joined:
    """A desk as it now stands."""

    project: Project
    """With the desk, as saved."""
    desk: Desk
    created: bool
    """Whether a Label Studio project was created."""
    changes: tuple[str, ...]
    """What was put right, in words; empty when all was right."""


@dataclass(frozen=True)
class Joiner:
    """Joins desks to Label Studio. ``progress`` hears of each change as it is made."""

    stores: Stores
    label_studio: LabelStudio
    settings: Settings
    credentials: Credentials
    progress: Callable[[str], None] = _silent

    def join(self, project: Project, wanted: Wanted) -> Joined:
        """Create, find or adopt the Label Studio project of a desk, and put everything right that joins it to us.

        The web process must be running. Killed anywhere, it goes on where it stopped when run again.

        Raises:
            ConfigError: an adopted project's labelling config is not one of ours, or Label Studio may not reach us.
            ConflictError: the adopted project belongs to another desk.
            NotFoundError: there is no project to adopt.
            AccessError: the token is wrong, or the account may not.
            UnavailableError: Label Studio is not there, or does not reach the web process.
            InputError: the desk has a name that is taken.
        """
        if wanted.name == IMPORTED:
            raise InputError(
                f"a desk cannot be called {IMPORTED}: that is where answers of other projects stand; choose another"
            )
        found = Search(project, wanted, self.label_studio).find()
        return _Mending(self, project, wanted, found).run()


class _Mending:
    """One run of :meth:`Joiner.join` after the search."""

    def __init__(self, joiner: Joiner, project: Project, wanted: Wanted, found: Found) -> None:
        self._joiner = joiner
        self._stores = joiner.stores
        self._label_studio = joiner.label_studio
        self._project = project
        self._wanted = wanted
        self._found = found
        self._name = found.name
        self._url = backend_url(joiner.settings, project.name, found.name)
        self._changes: list[str] = []

    def run(self) -> Joined:
        for desk in self._found.gone:
            self._retire(desk)
        remote = self._found.remote or self._create()
        kept = next((desk for desk in self._project.desks if desk.name == self._name), None)
        # Saved before Label Studio is asked to connect, since it calls /setup under the desk's address meanwhile.
        desk = self._save(
            Desk(
                name=self._name,
                kind=self._wanted.kind,
                project_id=remote.id,
                backend_id=kept.backend_id if kept else 0,
                webhook_id=kept.webhook_id if kept else 0,
                prelabel=self._wanted.prelabel,
                label_studio_url=self._label_studio.url,
            )
        )
        self._mend_config(remote)
        self._mend_settings(remote)
        webhook, backend = self._mend_webhook(remote), self._mend_backend(remote)
        desk = self._save(replace(desk, backend_id=backend.id, webhook_id=webhook.id))
        for pending in self._stores.projects.pending():
            if pending.project.partition(".")[0] == str(remote.id):
                self._stores.projects.forget_pending(pending.project)
        return Joined(self._project, desk, created=self._found.remote is None, changes=tuple(self._changes))

    def _retire(self, desk: Desk) -> None:
        self._say(
            f"desk {desk.name}: Label Studio project {desk.project_id} is gone; its answers stand, the desk is retired"
        )
        self._save(replace(desk, retired=True))
        questions = self._stores.questions(self._project.name)
        questions.close([posted.id for posted in questions.open(desk.name)], "gone")
        answers = self._stores.answers(self._project.name)
        held = answers.held()
        if held is not None and all(key.desk == desk.name for key in held.keys):
            answers.release()

    def _create(self) -> RemoteProject:
        title = (self._wanted.title or f"{self._project.name}: {_TITLES[self._wanted.kind]}")[:50]
        remote = self._label_studio.create_project(title, self._description(""), self._our_config())
        self._say(f"created Label Studio project {remote.id}, {title!r}")
        return remote

    # --- putting it right

    def _mend_config(self, remote: RemoteProject) -> None:
        problems = parse.check(remote.label_config, str(self._wanted.kind), str(self._project.medium))
        if not problems:
            return
        try:
            self._label_studio.patch_project(remote.id, label_config=self._our_config())
        except InputError as refusal:
            raise ConfigError(
                f"the labelling config of Label Studio project {remote.id} cannot ask {self._wanted.kind} questions "
                f"({'; '.join(problems)}) and cannot be put right: {refusal}"
            ) from None
        self._say("put the labelling config right")

    def _mend_settings(self, remote: RemoteProject) -> None:
        wrong: dict[str, object] = {}
        if remote.sampling != SAMPLING:
            wrong["sampling"] = SAMPLING
        if remote.predicts_by_itself:
            # We push predictions; asked for, they would come one by one while the Data Manager waits.
            wrong["evaluate_predictions_automatically"] = False
        if marker(self._project.name, self._name) not in remote.description:
            wrong["description"] = self._description(remote.description)
        if remote.show_predictions != self._wanted.prelabel:
            # Switched off, Label Studio empties model_version in the same call; what orders the tasks is set after it.
            wrong["show_collab_predictions"] = self._wanted.prelabel
        if wrong:
            changed = self._label_studio.patch_project(remote.id, **wrong)
            self._say(f"set {', '.join(sorted(wrong))}")
            if remote.model_version and not changed.model_version:
                self._set_model_version(remote)

    def _set_model_version(self, remote: RemoteProject) -> None:
        try:
            self._label_studio.patch_project(remote.id, model_version=remote.model_version)
        except InputError:
            # No prediction carries it any more; refill sets the version that the next predictions carry.
            logger.info("project %d: model version %s is gone", remote.id, remote.model_version)

    def _mend_webhook(self, remote: RemoteProject) -> RemoteWebhook:
        """One webhook, with the secret. Made before the backend: Label Studio would add one without."""
        url = f"{self._url}/webhook"
        headers = {WEBHOOK_HEADER: self._joiner.credentials.webhook_secret}
        ours = [hook for hook in self._label_studio.webhooks(remote.id) if self._is_ours(hook.url, "/webhook")]
        right = [hook for hook in ours if _webhook_is_right(hook, url, headers)]
        keep = next(iter(right or sorted(ours, key=lambda hook: hook.url != url)), None)
        for hook in ours:
            if hook is not keep:
                self._label_studio.delete_webhook(hook.id)
                self._say(f"removed a second webhook ({hook.id})")
        if keep is None:
            self._say("created the webhook")
            return self._label_studio.create_webhook(remote.id, url, headers, ACTIONS)
        if keep in right:
            return keep
        self._say("put the webhook right")
        return self._label_studio.patch_webhook(keep.id, url, headers, ACTIONS)

    def _mend_backend(self, remote: RemoteProject) -> RemoteBackend:
        url, title = self._url, f"PAL {self._project.name}/{self._name}"
        auth = BasicAuth(self._joiner.credentials.basic_auth_user, self._joiner.credentials.basic_auth_password)
        ours = [found for found in self._label_studio.backends(remote.id) if self._is_ours(found.url)]
        keep = next(iter(sorted(ours, key=lambda found: found.url.rstrip("/") != url)), None)
        for found in ours:
            if found is not keep:
                self._label_studio.delete_backend(found.id)
                self._say(f"disconnected a second ML backend ({found.id})")
        if keep is None:
            self._say(f"connected {url}")
            return self._label_studio.connect_backend(remote.id, url, title, auth)
        if keep.url.rstrip("/") == url and keep.connected and keep.basic_auth:
            return keep
        self._say(f"connected {url} again")
        return self._label_studio.patch_backend(keep, url, title, auth)

    def _is_ours(self, url: str, tail: str = "") -> bool:
        """Whether a URL is this desk's, on whatever host, or the bare one that somebody typed in by hand."""
        return (
            leads_to(url, self._project.name, self._name, tail)
            or url.rstrip("/") == f"{self._joiner.settings.backend}{tail}"
        )

    def _our_config(self) -> str:
        text, asked = self._project.medium is Medium.TEXT, self._project.question_text
        if self._wanted.kind is QuestionKind.PAIR:
            if text:
                return render.text_pair_config(render.TEXT_PAIR_QUESTION if asked == QUESTION_TEXT else asked)
            return render.pair_config(asked)
        return render.text_screen_config() if text else render.screen_config()

    def _description(self, before: str) -> str:
        line = f"PAL asks its questions here. Leave this line as it is: {marker(self._project.name, self._name)}"
        return f"{before}\n{line}" if before else line

    def _save(self, desk: Desk) -> Desk:
        desks = {one.name: one for one in self._project.desks} | {desk.name: desk}
        if tuple(desks.values()) != self._project.desks:
            self._project = replace(self._project, desks=tuple(desks.values()))
            self._stores.projects.save(self._project)
        return desk

    def _say(self, text: str) -> None:
        self._changes.append(text)
        self._joiner.progress(text)


_TITLES = {QuestionKind.PAIR: "same or different?", QuestionKind.SCREEN: "tick what is the same"}


def _webhook_is_right(hook: RemoteWebhook, url: str, headers: dict[str, str]) -> bool:
    complete = hook.all_actions or set(ACTIONS) <= set(hook.actions)
    return hook.url == url and hook.active and hook.payload and complete and headers.items() <= hook.headers.items()
