"""Label Studio's REST API: projects, ML backends, webhooks, tasks, predictions, annotations.

``label-studio-sdk`` is used where it covers a call (imported when first needed: it takes seconds); tasks are read with
the same HTTP client, because the SDK loses parts of them. Measured against Label Studio 1.23.2. Every call may raise

* :class:`AccessError`: the token is wrong, or the account may not do it,
* :class:`ConfigError`: Label Studio's rules about addresses forbid it; the message names the setting that mends just that,
* :class:`NotFoundError`: there is no such thing (any more),
* :class:`InputError`: Label Studio refuses what was sent, and says why,
* :class:`UnavailableError`: Label Studio cannot be reached, or failed; trying again later may help.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pal_backend import label_studio_values as values
from pal_backend.errors import InputError, NotFoundError, UnavailableError
from pal_backend.label_studio_session import Session
from pal_backend.label_studio_values import (
    Account,
    Json,
    RemoteBackend,
    RemoteDraft,
    RemotePrediction,
    RemoteProject,
    RemoteTask,
    RemoteWebhook,
)

PAGE = 200
"""Tasks in one answer: about 1 MB with their annotations."""
IMPORT_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class BasicAuth:
    """What Label Studio sends to the ML backend."""

    user: str = field(repr=False)
    password: str = field(repr=False)


class LabelStudio:
    """One Label Studio, signed in with a personal access token or a legacy token (told apart by their shape).

    Nothing is sent until the first call.
    """

    def __init__(self, url: str, token: str, *, session: Session | None = None) -> None:
        self._session = session or Session(url, token)
        self.url = self._session.url

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    # --- account and projects

    def version(self) -> str:
        """Label Studio's release, such as "1.23.2"; needs no token to be right."""
        return str(self._session.read("GET", "/api/version", "asking for its version").get("release", ""))

    def authorization(self) -> str:
        """The header that opens what Label Studio keeps; it may be good for five minutes only."""
        return self._session.authorization()

    def whoami(self) -> Account:
        """Whose token this is."""
        with self._session.calling("asking whose token this is"):
            return values.account(self._session.sdk.users.whoami())

    def check_config(self, label_config: str) -> None:
        """Let Label Studio validate a labelling config.

        Raises:
            InputError: it finds fault with it.
        """
        self._session.send(
            "POST", "/api/projects/validate/", "checking the labelling config", body={"label_config": label_config}
        )

    def members(self) -> dict[int, str]:
        """Id → e-mail address of everybody in the organization."""
        doing = "listing the members"
        return {int(one["id"]): str(one.get("email") or "") for one in self._rows("/api/users/", doing)}

    def create_project(self, title: str, description: str, label_config: str) -> RemoteProject:
        """A new project; its labelling config is validated by Label Studio."""
        with self._session.calling(f"creating the project {title!r}"):
            made = self._session.sdk.projects.create(title=title, description=description, label_config=label_config)
            return self.project(values.project(made).id)

    def project(self, project: int) -> RemoteProject:
        """One project."""
        return values.project(self._session.read("GET", f"/api/projects/{project}/", f"reading project {project}"))

    def projects(self) -> Iterator[RemoteProject]:
        """Every project this account sees."""
        with self._session.calling("listing the projects"):
            pages: Iterator[Any] = iter(self._session.sdk.projects.list(page_size=100))
            yield from map(values.project, pages)

    def patch_project(self, project: int, **settings: Any) -> RemoteProject:
        """Change settings, in Label Studio's names.

        ``show_collab_predictions=False`` empties ``model_version`` in the same call, even when it was False already.
        """
        with self._session.calling(f"changing {', '.join(settings)} of project {project}"):
            self._session.sdk.projects.update(id=project, **settings)
        return self.project(project)

    # --- ML backends and webhooks

    def backends(self, project: int) -> list[RemoteBackend]:
        """The ML backends of a project; Label Studio calls /health and /setup of each before it answers."""
        with self._session.calling(f"listing the ML backends of project {project}"):
            return [values.backend(found) for found in self._session.sdk.ml.list(project=project)]

    def connect_backend(self, project: int, url: str, title: str, auth: BasicAuth) -> RemoteBackend:
        """Connect an ML backend with basic auth; Label Studio calls its /health and /setup meanwhile.

        Raises:
            UnavailableError: Label Studio cannot reach it, or it refused the password.
        """
        with _reaching(url), self._session.calling(f"connecting {url} to project {project}"):
            return values.backend(self._session.sdk.ml.create(project=project, url=url, title=title, **_basic(auth)))

    def patch_backend(self, found: RemoteBackend, url: str, title: str, auth: BasicAuth) -> RemoteBackend:
        """Change an ML backend's address and password."""
        with _reaching(url), self._session.calling(f"changing ML backend {found.id} to {url}"):
            changed = self._session.sdk.ml.update(
                id=found.id, project=found.project, url=url, title=title, **_basic(auth)
            )
            return values.backend(changed)

    def delete_backend(self, backend: int) -> None:
        """Disconnect an ML backend; Label Studio leaves its webhook behind."""
        with self._session.calling(f"deleting ML backend {backend}"):
            self._session.sdk.ml.delete(id=backend)

    def webhooks(self, project: int) -> list[RemoteWebhook]:
        """The webhooks of a project."""
        with self._session.calling(f"listing the webhooks of project {project}"):
            return [values.webhook(found) for found in self._session.sdk.webhooks.list(project=str(project))]

    def create_webhook(
        self, project: int, url: str, headers: Mapping[str, str], actions: Sequence[str]
    ) -> RemoteWebhook:
        """A webhook with payload for these actions."""
        with self._session.calling(f"creating a webhook of project {project}"):
            made = self._session.sdk.webhooks.create(project=project, url=url, **_hook(headers, actions))
            return values.webhook(made)

    def patch_webhook(
        self, webhook: int, url: str, headers: Mapping[str, str], actions: Sequence[str]
    ) -> RemoteWebhook:
        """Change where a webhook leads, its headers and its actions."""
        with self._session.calling(f"changing webhook {webhook}"):
            return values.webhook(self._session.sdk.webhooks.update(id=webhook, url=url, **_hook(headers, actions)))

    def delete_webhook(self, webhook: int) -> None:
        """Remove a webhook."""
        with self._session.calling(f"deleting webhook {webhook}"):
            self._session.sdk.webhooks.delete(id=webhook)

    # --- tasks

    def import_tasks(self, project: int, tasks: Sequence[Json]) -> list[int]:
        """Import tasks, with predictions if they hold any; returns their ids in the same order.

        Never tried again by itself: after an :class:`UnavailableError` they may be there or not.
        """
        if not tasks:
            return []
        found = self._session.read(
            "POST",
            f"/api/projects/{project}/import",
            f"importing {len(tasks)} tasks into project {project}",
            body=list(tasks),
            query={"return_task_ids": "true"},
            timeout=IMPORT_TIMEOUT_S,
        )
        ids = found.get("task_ids")
        if not isinstance(ids, list) or len(ids) != len(tasks):
            # Other editions import in the background and answer {"import": id}.
            raise UnavailableError(
                f"Label Studio imported {len(tasks)} tasks without naming their ids; expected Label Studio Community 1.23"
            )
        return [int(number) for number in ids]

    def tasks(self, project: int, *, unlabelled: bool = False, newest: bool = False) -> Iterator[RemoteTask]:
        """The tasks of a project with annotations, predictions and whether somebody drafts.

        Each page starts after the last id seen, so that tasks deleted meanwhile never hide others.

        Args:
            project: Label Studio's id.
            unlabelled: those without annotations only; skipped ones stay among them.
            newest: from the newest to the oldest; else the other way round.
        """
        rules = [_rule("total_annotations", "equal", 0)] if unlabelled else []
        last: int | None = None
        while True:
            past = [] if last is None else [_rule("id", "less" if newest else "greater", last)]
            query = {
                "filters": {"conjunction": "and", "items": rules + past},
                "ordering": ["-tasks:id" if newest else "tasks:id"],
            }
            page = self._page(project, query)
            yield from map(values.task, page)
            if len(page) < PAGE:
                return
            last = int(page[-1]["id"])

    def task_exists(self, task: int) -> bool:
        """Whether a task is still there."""
        return self._exists(f"/api/tasks/{task}/", f"looking for task {task}")

    def patch_task(self, task: int, *, data: Mapping[str, Any]) -> None:
        """Replace a task's data; no webhook is sent for it."""
        with self._session.calling(f"changing task {task}"):
            self._session.sdk.tasks.update(id=str(task), data=dict(data))

    def delete_task(self, task: int) -> None:
        """Delete a task and all that hangs on it; one that is gone already is fine."""
        try:
            self._session.send("DELETE", f"/api/tasks/{task}/", f"deleting task {task}")
        except NotFoundError:
            return

    def drafts(self, task: int) -> list[RemoteDraft]:
        """Everybody's drafts on a task; a page of tasks holds this account's alone."""
        return [
            values.draft(found) for found in self._rows(f"/api/tasks/{task}/drafts", f"reading drafts on task {task}")
        ]

    def delete_draft(self, draft: int) -> None:
        """Delete a draft; one that is gone already is fine."""
        try:
            self._session.send("DELETE", f"/api/drafts/{draft}/", f"deleting draft {draft}")
        except NotFoundError:
            return

    def annotation_exists(self, annotation: int) -> bool:
        """Whether an annotation is still there."""
        return self._exists(f"/api/annotations/{annotation}/", f"looking for annotation {annotation}")

    # --- predictions

    def predictions(self, task: int) -> list[RemotePrediction]:
        """The predictions of one task."""
        with self._session.calling(f"reading the predictions of task {task}"):
            return [values.prediction(found) for found in self._session.sdk.predictions.list(task=task)]

    def create_predictions(self, project: int, predictions: Sequence[Json]) -> int:
        """Add predictions to existing tasks in one call, each with task, result, score and model_version."""
        if not predictions:
            return 0
        doing = f"adding {len(predictions)} predictions to project {project}"
        found = self._session.read("POST", f"/api/projects/{project}/import/predictions", doing, body=list(predictions))
        return int(found.get("created", 0))

    def patch_prediction(self, prediction: int, **fields: Any) -> None:
        """Change score, model_version or result of a prediction."""
        self._session.send("PATCH", f"/api/predictions/{prediction}/", f"changing prediction {prediction}", body=fields)

    def delete_predictions(self, project: int, model_version: str) -> None:
        """Delete all predictions of one version; if it is the project's, the project is left without one."""
        doing = f"deleting the predictions of version {model_version} in project {project}"
        self._session.send(
            "DELETE", f"/api/projects/{project}/model-versions/", doing, body={"model_version": model_version}
        )

    def _page(self, project: int, query: Json) -> list[Json]:
        # No ``include``: Label Studio would apply it to the annotations inside as well, and drop their times and people.
        asked = {"project": str(project), "fields": "all", "resolve_uri": "false", "page": "1", "page_size": str(PAGE)}
        doing = f"reading the tasks of project {project}"
        tasks = self._session.read("GET", "/api/tasks", doing, query={**asked, "query": json.dumps(query)}).get("tasks")
        if not isinstance(tasks, list):
            raise UnavailableError(
                f"{self.url} answered without a list of tasks while {doing}; is LABEL_STUDIO_URL right?"
            )
        return tasks

    def _rows(self, path: str, doing: str) -> list[Json]:
        found = self._session.send("GET", path, doing)
        if not isinstance(found, list):
            raise UnavailableError(f"{self.url} answered without a list while {doing}; is LABEL_STUDIO_URL right?")
        return found

    def _exists(self, path: str, doing: str) -> bool:
        try:
            self._session.send("GET", path, doing)
        except NotFoundError:
            return False
        return True


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Label Studio answers 400 when it cannot talk to *us*, which is no fault of what was sent."""
    try:
        yield
    except InputError as problem:
        raise UnavailableError(
            f"{problem}. See that the web process runs (`pal serve`) and that Label Studio can reach it at {url}; "
            "otherwise set PAL_BACKEND_URL to its address as Label Studio sees it"
        ) from None


def _basic(auth: BasicAuth) -> dict[str, Any]:
    return {
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": auth.user,
        "basic_auth_pass": auth.password,
        "is_interactive": False,
    }


def _hook(headers: Mapping[str, str], actions: Sequence[str]) -> dict[str, Any]:
    return {
        "headers": dict(headers),
        "actions": list(actions),
        "send_payload": True,
        "send_for_all_actions": False,
        "is_active": True,
    }


def _rule(column: str, operator: str, value: int) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": "Number", "value": value}
