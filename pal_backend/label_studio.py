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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from pal_backend import label_studio_values as values
from pal_backend.errors import InputError, NotFoundError, UnavailableError
from pal_backend.label_studio_session import body_of, error_for, open_client, unreachable
from pal_backend.label_studio_values import (
    Account,
    Json,
    RemoteBackend,
    RemotePrediction,
    RemoteProject,
    RemoteTask,
    RemoteWebhook,
)

if TYPE_CHECKING:
    from label_studio_sdk.client import LabelStudio as Sdk

PAGE = 200
"""Tasks in one answer: about 1 MB with their annotations."""
IMPORT_TIMEOUT_S = 20.0


class LabelStudio:
    """One Label Studio, signed in with a personal access token or a legacy token (told apart by their shape).

    Nothing is sent until the first call.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = open_client(self.url, token, transport=transport, clock=clock, sleep=sleep)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # --- account and projects

    def version(self) -> str:
        """Label Studio's release, such as "1.23.2"; needs no token to be right."""
        return str(self._json("GET", "/api/version", "asking for its version").get("release", ""))

    def whoami(self) -> Account:
        """Whose token this is."""
        with self._calling("asking whose token this is"):
            return values.account(self._sdk.users.whoami())

    def check_config(self, label_config: str) -> None:
        """Let Label Studio validate a labelling config.

        Raises:
            InputError: it finds fault with it.
        """
        self._send(
            "POST", "/api/projects/validate/", "checking the labelling config", body={"label_config": label_config}
        )

    def create_project(self, title: str, description: str, label_config: str) -> RemoteProject:
        """A new project; its labelling config is validated by Label Studio."""
        with self._calling(f"creating the project {title!r}"):
            made = self._sdk.projects.create(title=title, description=description, label_config=label_config)
            return self.project(int(made.id))

    def project(self, project: int) -> RemoteProject:
        """One project."""
        return values.project(self._json("GET", f"/api/projects/{project}/", f"reading project {project}"))

    def projects(self) -> Iterator[RemoteProject]:
        """Every project this account sees."""
        with self._calling("listing the projects"):
            for found in self._sdk.projects.list(page_size=100):
                yield values.project(found)

    def patch_project(self, project: int, **settings: Any) -> RemoteProject:
        """Change settings, in Label Studio's names.

        ``show_collab_predictions=False`` empties ``model_version`` in the same call, even when it was False already.
        """
        with self._calling(f"changing {', '.join(settings)} of project {project}"):
            self._sdk.projects.update(id=project, **settings)
        return self.project(project)

    # --- ML backends and webhooks

    def backends(self, project: int) -> list[RemoteBackend]:
        """The ML backends of a project; Label Studio calls /health and /setup of each before it answers."""
        with self._calling(f"listing the ML backends of project {project}"):
            return [values.backend(found) for found in self._sdk.ml.list(project=project)]

    def connect_backend(self, project: int, url: str, title: str, user: str, password: str) -> RemoteBackend:
        """Connect an ML backend with basic auth; Label Studio calls its /health and /setup meanwhile.

        Raises:
            UnavailableError: Label Studio cannot reach it, or it refused the password.
        """
        with _reaching(url), self._calling(f"connecting {url} to project {project}"):
            return values.backend(self._sdk.ml.create(project=project, url=url, title=title, **_basic(user, password)))

    def patch_backend(
        self, backend: int, project: int, url: str, title: str, user: str, password: str
    ) -> RemoteBackend:
        """Change an ML backend's address and password."""
        with _reaching(url), self._calling(f"changing ML backend {backend} to {url}"):
            self._sdk.ml.update(id=backend, project=project, url=url, title=title, **_basic(user, password))
            return next(found for found in self.backends(project) if found.id == backend)

    def delete_backend(self, backend: int) -> None:
        """Disconnect an ML backend; Label Studio leaves its webhook behind."""
        with self._calling(f"deleting ML backend {backend}"):
            self._sdk.ml.delete(id=backend)

    def webhooks(self, project: int) -> list[RemoteWebhook]:
        """The webhooks of a project."""
        with self._calling(f"listing the webhooks of project {project}"):
            return [values.webhook(found) for found in self._sdk.webhooks.list(project=str(project))]

    def create_webhook(
        self, project: int, url: str, headers: Mapping[str, str], actions: Sequence[str]
    ) -> RemoteWebhook:
        """A webhook with payload for these actions."""
        with self._calling(f"creating a webhook of project {project}"):
            return values.webhook(self._sdk.webhooks.create(project=project, url=url, **_hook(headers, actions)))

    def patch_webhook(
        self, webhook: int, url: str, headers: Mapping[str, str], actions: Sequence[str]
    ) -> RemoteWebhook:
        """Change where a webhook leads, its headers and its actions."""
        with self._calling(f"changing webhook {webhook}"):
            return values.webhook(self._sdk.webhooks.update(id=webhook, url=url, **_hook(headers, actions)))

    def delete_webhook(self, webhook: int) -> None:
        """Remove a webhook."""
        with self._calling(f"deleting webhook {webhook}"):
            self._sdk.webhooks.delete(id=webhook)

    # --- tasks

    def import_tasks(self, project: int, tasks: Sequence[Json]) -> list[int]:
        """Import tasks, with predictions if they hold any; returns their ids in the same order.

        Never tried again by itself: after an :class:`UnavailableError` they may be there or not.
        """
        if not tasks:
            return []
        found = self._json(
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

    def delete_task(self, task: int) -> None:
        """Delete a task and all that hangs on it; one that is gone already is fine."""
        try:
            self._send("DELETE", f"/api/tasks/{task}/", f"deleting task {task}")
        except NotFoundError:
            return

    def annotation_exists(self, annotation: int) -> bool:
        """Whether an annotation is still there."""
        return self._exists(f"/api/annotations/{annotation}/", f"looking for annotation {annotation}")

    # --- predictions

    def predictions(self, task: int) -> list[RemotePrediction]:
        """The predictions of one task."""
        with self._calling(f"reading the predictions of task {task}"):
            return [values.prediction(found) for found in self._sdk.predictions.list(task=task)]

    def create_predictions(self, project: int, predictions: Sequence[Json]) -> int:
        """Add predictions to existing tasks in one call, each with task, result, score and model_version."""
        if not predictions:
            return 0
        doing = f"adding {len(predictions)} predictions to project {project}"
        found = self._json("POST", f"/api/projects/{project}/import/predictions", doing, body=list(predictions))
        return int(found.get("created", 0))

    def patch_prediction(self, prediction: int, **fields: Any) -> None:
        """Change score, model_version or result of a prediction."""
        self._send("PATCH", f"/api/predictions/{prediction}/", f"changing prediction {prediction}", body=fields)

    def delete_predictions(self, project: int, model_version: str) -> None:
        """Delete all predictions of one version; if it is the project's, the project is left without one."""
        doing = f"deleting the predictions of version {model_version} in project {project}"
        self._send("DELETE", f"/api/projects/{project}/model-versions/", doing, body={"model_version": model_version})

    # --- how calls are made

    @cached_property
    def _sdk(self) -> Sdk:
        from label_studio_sdk.client import LabelStudio as Sdk

        # Our client signs in and tries again; left to itself the SDK would repeat a POST that was carried out.
        return Sdk(base_url=self.url, api_key="set-by-the-http-client", httpx_client=self._http, max_retries=0)

    @contextmanager
    def _calling(self, doing: str) -> Iterator[None]:
        from label_studio_sdk.core.api_error import ApiError

        try:
            yield
        except ApiError as problem:
            raise error_for(problem.status_code or 500, problem.body, doing, self.url) from None
        except httpx.TransportError as problem:
            raise unreachable(problem, doing, self.url) from problem

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        try:
            response = self._http.request(
                method, path, json=body, params=query, timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout
            )
        except httpx.TransportError as problem:
            raise unreachable(problem, doing, self.url) from problem
        if not response.is_success:
            raise error_for(response.status_code, body_of(response), doing, self.url)
        return response

    def _json(self, method: str, path: str, doing: str, **sent: Any) -> Json:
        found = body_of(self._send(method, path, doing, **sent))
        if not isinstance(found, Mapping):
            raise UnavailableError(
                f"{self.url} answered with something that is no JSON object while {doing}; is LABEL_STUDIO_URL right?"
            )
        return found

    def _page(self, project: int, query: Json) -> list[Json]:
        asked = {"project": str(project), "fields": "all", "resolve_uri": "false", "page": "1", "page_size": str(PAGE)}
        doing = f"reading the tasks of project {project}"
        tasks = self._json("GET", "/api/tasks", doing, query={**asked, "query": json.dumps(query)}).get("tasks")
        if not isinstance(tasks, list):
            raise UnavailableError(
                f"{self.url} answered without a list of tasks while {doing}; is LABEL_STUDIO_URL right?"
            )
        return tasks

    def _exists(self, path: str, doing: str) -> bool:
        try:
            self._send("GET", path, doing)
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


def _basic(user: str, password: str) -> dict[str, Any]:
    return {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password, "is_interactive": False}


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
