"""Checks of a desk: its Label Studio project, the ML backend and the webhook connected to it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from label_config import parse
from pal_backend import label_studio_values as values
from pal_backend.core.vocabulary import Medium
from pal_backend.credentials import WEBHOOK_HEADER
from pal_backend.doctor_parts import Check, Outcome, bad, good, unknown
from pal_backend.doctor_scene import Scene
from pal_backend.errors import AccessError, NotFoundError
from pal_backend.joining import ACTIONS, SAMPLING
from pal_backend.label_studio_values import RemoteBackend, RemoteProject, RemoteWebhook

NO_BODY = b"pal doctor"
"""Not JSON: with a right credential it is refused as that (400), with a wrong one before it is read (401)."""


def _project(scene: Scene) -> RemoteProject:
    return values.project(scene.read(f"/api/projects/{scene.here.project_id}/"))


def _backends(scene: Scene) -> list[RemoteBackend]:
    return [values.backend(found) for found in scene.read(f"/api/ml?project={scene.here.project_id}")]


def _webhooks(scene: Scene) -> list[RemoteWebhook]:
    return [values.webhook(found) for found in scene.read(f"/api/webhooks/?project={scene.here.project_id}")]


def _our_webhook(scene: Scene) -> RemoteWebhook:
    """The one that leads to us; only asked for where there is one."""
    return next(hook for hook in _webhooks(scene) if hook.url == f"{scene.backend_url}/webhook")


def _init(scene: Scene) -> str:
    """The command that mends a desk, and leaves alone what is right."""
    assert scene.project is not None
    desk = scene.here
    shown = " --prelabel" if desk.prelabel else ""
    return f"pal init {scene.project.name} --questions {desk.kind}s --desk {desk.name}{shown}"


def desk_project(scene: Scene) -> Outcome:
    """The desk's Label Studio project is there."""
    number = scene.here.project_id
    try:
        project = _project(scene)
    except NotFoundError:
        return bad(
            f"Label Studio has no project {number} (any more).",
            f"{_init(scene)}: it retires this desk, whose answers stand, and makes the next one",
        )
    except AccessError as refusal:
        return bad(f"Label Studio does not show us project {number}: {refusal}", "use the token of an account that may")
    return good(f"Label Studio's project {number} is there ({project.title}).")


def desk_config(scene: Scene) -> Outcome:
    """Its labelling config asks our kind of question."""
    kind = str(scene.here.kind)
    medium = str(Medium.IMAGE if scene.project is None else scene.project.medium)
    problems = parse.check(_project(scene).label_config, kind, medium)
    if problems:
        return bad(
            f"Its labelling config cannot ask {kind} questions: {'; '.join(problems)}.",
            f"paste label_config/{kind}{'_text' * (medium == Medium.TEXT)}.xml into Settings, Labeling Interface, Code; or run {_init(scene)}",
        )
    return good(f"Its labelling config asks {kind} questions.")


def sampling(scene: Scene) -> Outcome:
    """The label stream goes by our scores."""
    found = _project(scene).sampling
    if found != SAMPLING:
        return bad(
            f"The label stream does not go by our scores: its sampling is {found!r}.",
            f"Settings, General, Task Sampling: {SAMPLING}; or run {_init(scene)}",
        )
    return good("The label stream goes by our scores.")


def model_version(scene: Scene) -> Outcome:
    """The project's version is the one our predictions carry; else Label Studio serves tasks at random, silently."""
    assert scene.project is not None
    current = scene.stores.versions(scene.project.name).current()
    found = _project(scene).model_version
    if current is None:
        return unknown("There is no model version yet.")
    if found != current:
        return bad(
            f"Label Studio's project shows model version {found or 'none'}, our predictions carry {current}: "
            "the order of questions is random.",
            f"Settings, Predictions: choose {current}; or run `pal sync {scene.project.name}`",
        )
    return good(f"Label Studio orders questions by the predictions of {current}.")


def backend(scene: Scene) -> Outcome:
    """Our ML backend is connected, at the desk's URL."""
    urls = [found.url for found in _backends(scene)]
    if scene.backend_url in [url.rstrip("/") for url in urls]:
        return good(f"The ML backend is connected at {scene.backend_url}.")
    elsewhere = f"; connected: {', '.join(urls)}" if urls else ""
    return bad(f"No ML backend is connected at {scene.backend_url}{elsewhere}.", _init(scene))


def backend_state(scene: Scene) -> Outcome:
    """Label Studio could talk to it just now: listing backends makes it try."""
    found = next(one for one in _backends(scene) if one.url.rstrip("/") == scene.backend_url)
    if not found.connected:
        reason = f": {' '.join(found.error.split())}" if found.error else ""
        return bad(
            f"Label Studio could not talk to the ML backend{reason}.",
            f"see that `pal serve` runs and is reachable from Label Studio at {scene.backend_url}, then run {_init(scene)}",
        )
    if not found.basic_auth:
        return bad("Label Studio shows the ML backend no password.", _init(scene))
    return good("Label Studio talks to the ML backend.")


def webhook(scene: Scene) -> Outcome:
    """A webhook leads to us."""
    wanted = f"{scene.backend_url}/webhook"
    if any(hook.url == wanted for hook in _webhooks(scene)):
        return good(f"A webhook leads to {wanted}.")
    return bad(
        f"No webhook leads to {wanted}: answers come in only when they are compared, every few minutes.", _init(scene)
    )


def webhook_secret(scene: Scene) -> Outcome:
    """It shows our secret; Label Studio's own webhooks carry none."""
    headers = {name.lower(): value for name, value in _our_webhook(scene).headers.items()}
    given = headers.get(WEBHOOK_HEADER.lower())
    if given is None:
        return bad(f"The webhook carries no {WEBHOOK_HEADER} header, so we refuse what it brings.", _init(scene))
    if given != scene.credentials.webhook_secret:
        return bad(f"The webhook's {WEBHOOK_HEADER} is not ours, so we refuse what it brings.", _init(scene))
    return good("The webhook shows our secret.")


def webhook_active(scene: Scene) -> Outcome:
    """It is switched on."""
    if not _our_webhook(scene).active:
        return bad("The webhook is switched off.", f"Settings, Webhooks: Is Active; or run {_init(scene)}")
    return good("The webhook is switched on.")


def webhook_content(scene: Scene) -> Outcome:
    """It brings what happened, for everything that we learn from."""
    hook = _our_webhook(scene)
    missing = [] if hook.all_actions else sorted(set(ACTIONS) - set(hook.actions))
    if not hook.payload:
        return bad(
            "The webhook brings no payload, so each answer costs a whole comparison.",
            f"Settings, Webhooks: Send payload; or run {_init(scene)}",
        )
    if missing:
        return bad(f"The webhook does not tell of {', '.join(missing)}.", _init(scene))
    return good("The webhook tells all that we need.")


def webhook_leftover(scene: Scene) -> Outcome:
    """No other webhook leads to us: a removed ML backend leaves its own behind, and every event comes twice."""
    extra = _leftovers(_webhooks(scene), scene.backend_url, scene.settings.backend)
    if not extra:
        return good("No second webhook leads to us.")
    listed = ", ".join(f"{hook.id} ({hook.url})" for hook in extra)
    return bad(
        f"Other webhooks lead to us as well, perhaps left behind by a removed ML backend: {listed}.",
        f"Settings, Webhooks: delete them; or run {_init(scene)}",
    )


def _leftovers(hooks: Sequence[RemoteWebhook], ours: str, base: str) -> list[RemoteWebhook]:
    wanted = f"{ours}/webhook"
    path = urlsplit(wanted).path
    extra = [
        hook
        for hook in hooks
        if hook.url != wanted
        and (urlsplit(hook.url).netloc == urlsplit(base).netloc or urlsplit(hook.url).path.endswith(path))
    ]
    return extra + [hook for hook in hooks if hook.url == wanted][1:]


def web(scene: Scene) -> Outcome:
    """The web process answers (asked from here)."""
    url = scene.backend_url
    try:
        response = scene.browser.get(f"{url}/health")
    except httpx.TransportError as problem:
        return bad(
            f"The web process cannot be reached from here at {url} ({type(problem).__name__}).",
            "start it with `pal serve`, or set PAL_BACKEND_URL to where it is",
        )
    if response.status_code != httpx.codes.OK or '"UP"' not in response.text:
        return bad(f"What answers at {url}/health is not our web process.", "set PAL_BACKEND_URL to where it is")
    return good(f"The web process answers at {url}.")


def web_password(scene: Scene) -> Outcome:
    """It takes our basic auth. Nothing is recorded: what is sent is not JSON."""
    auth = (scene.credentials.basic_auth_user, scene.credentials.basic_auth_password)
    status = scene.browser.post(f"{scene.backend_url}/predict", content=NO_BODY, auth=auth).status_code
    return _admission(status, "password", "BASIC_AUTH_USER and BASIC_AUTH_PASS")


def web_secret(scene: Scene) -> Outcome:
    """It takes the webhook's secret. Nothing is recorded: what is sent is not JSON."""
    headers = {WEBHOOK_HEADER: scene.credentials.webhook_secret}
    status = scene.browser.post(f"{scene.backend_url}/webhook", content=NO_BODY, headers=headers).status_code
    return _admission(status, "webhook secret", "PAL_WEBHOOK_SECRET")


def _admission(status: int, what: str, settings: str) -> Outcome:
    if status == httpx.codes.UNAUTHORIZED:
        return bad(
            f"The web process has another {what} than we.",
            f"give `pal serve` the same PAL_HOME and {settings} as this command has, and start it again",
        )
    if status != httpx.codes.BAD_REQUEST:
        return unknown(f"Whether the web process takes our {what} cannot be known (status {status}).")
    return good(f"The web process takes our {what}.")


CHECKS = (
    Check("desk-project", desk_project, ("token",)),
    Check("desk-config", desk_config, ("desk-project",)),
    Check("sampling", sampling, ("desk-project",)),
    Check("model-version", model_version, ("desk-project", "redis")),
    Check("web", web),
    Check("web-password", web_password, ("web",)),
    Check("web-secret", web_secret, ("web",)),
    Check("backend", backend, ("desk-project",)),
    Check("backend-state", backend_state, ("backend", "backend-address")),
    Check("webhook", webhook, ("desk-project",)),
    Check("webhook-secret", webhook_secret, ("webhook",)),
    Check("webhook-active", webhook_active, ("webhook",)),
    Check("webhook-content", webhook_content, ("webhook",)),
    Check("webhook-leftover", webhook_leftover, ("desk-project",)),
)
