"""What Label Studio tells us, as values. Made from its JSON or from the objects of ``label-studio-sdk``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pal_backend.errors import UnavailableError

Json = Mapping[str, Any]

DRAFTS_FLAG = "fflag_feat_back_lsdv_5307_import_reviews_drafts_29062023_short"
"""Label Studio's feature flag, an environment variable of its process, with which an import takes drafts along."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the token belongs to."""

    id: int
    email: str


@dataclass(frozen=True, slots=True)
class RemoteProject:
    """A Label Studio project."""

    id: int
    title: str
    description: str
    label_config: str
    sampling: str
    model_version: str
    """Which predictions order the label stream; "" for none."""
    show_predictions: bool
    """Whether the label stream shows a prediction to the annotator (``show_collab_predictions``)."""
    predicts_by_itself: bool
    """Whether Label Studio asks the ML backend whenever a task lacks a prediction (``evaluate_predictions_automatically``)."""
    maximum_annotations: int


@dataclass(frozen=True, slots=True)
class RemoteBackend:
    """An ML backend connected to a project."""

    id: int
    project: int
    url: str
    connected: bool
    """Whether it answered health and setup, with the credentials Label Studio holds, when Label Studio last tried."""
    basic_auth: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class RemoteWebhook:
    """A webhook of a project; its headers may be secret."""

    id: int
    project: int
    url: str
    active: bool
    payload: bool
    all_actions: bool
    actions: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RemotePrediction:
    """A stored prediction."""

    id: int
    task: int
    model_version: str
    score: float | None
    choices: frozenset[str]
    """The values its result chooses; none at all when it is a score alone."""
    updated_at: float
    """Seconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class RemoteDraft:
    """What somebody began on a task and did not submit, or put off."""

    id: int
    email: str
    """Whose it is."""
    empty: bool
    """Whether it holds no choice."""
    import_id: int | None
    """The id it was imported under; None for one made by hand."""


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A task with all that hangs on it; ``raw`` and ``annotations`` are for ``wire`` to read."""

    id: int
    project: int
    created_at: float
    """Seconds since the epoch, UTC."""
    labelled: bool
    has_draft: bool
    """Whether anybody, not only this account, has begun and not submitted."""
    predictions: tuple[RemotePrediction, ...]
    annotations: tuple[Json, ...] = field(repr=False)
    raw: Json = field(repr=False)


def account(found: Any) -> Account:
    """From whoami."""
    return Account(id=int(_get(found, "id")), email=str(_get(found, "email") or ""))


def project(found: Any) -> RemoteProject:
    """From a project as Label Studio lists or returns it."""
    return RemoteProject(
        id=int(_get(found, "id")),
        title=str(_get(found, "title") or ""),
        description=str(_get(found, "description") or ""),
        label_config=str(_get(found, "label_config") or ""),
        sampling=_text(_get(found, "sampling")),
        model_version=str(_get(found, "model_version") or ""),
        show_predictions=bool(_get(found, "show_collab_predictions")),
        predicts_by_itself=bool(_get(found, "evaluate_predictions_automatically")),
        maximum_annotations=int(_get(found, "maximum_annotations") or 1),
    )


def backend(found: Any) -> RemoteBackend:
    """From an ML backend."""
    return RemoteBackend(
        id=int(_get(found, "id")),
        project=int(_get(found, "project")),
        url=str(_get(found, "url") or ""),
        connected=_text(_get(found, "state")) == "CO",
        basic_auth=_text(_get(found, "auth_method")) == "BASIC_AUTH",
        error=str(_get(found, "error_message") or "")[:300],
    )


def webhook(found: Any) -> RemoteWebhook:
    """From a webhook."""
    headers = _get(found, "headers")
    return RemoteWebhook(
        id=int(_get(found, "id")),
        project=int(_get(found, "project") or 0),
        url=str(_get(found, "url") or ""),
        active=bool(_get(found, "is_active")),
        payload=bool(_get(found, "send_payload")),
        all_actions=bool(_get(found, "send_for_all_actions")),
        actions=tuple(sorted(_text(action) for action in _get(found, "actions") or ())),
        headers={str(k): str(v) for k, v in headers.items()} if isinstance(headers, Mapping) else {},
    )


def prediction(found: Any) -> RemotePrediction:
    """From a prediction."""
    score = _get(found, "score")
    return RemotePrediction(
        id=int(_get(found, "id")),
        task=int(_get(found, "task")),
        model_version=str(_get(found, "model_version") or ""),
        score=None if score is None else float(score),
        choices=chosen(_get(found, "result")),
        updated_at=seconds(_get(found, "updated_at")),
    )


def draft(found: Any) -> RemoteDraft:
    """From a draft."""
    number = _get(found, "import_id")
    return RemoteDraft(
        id=int(_get(found, "id")),
        email=str(_get(found, "user") or ""),
        empty=not _get(found, "result"),
        import_id=None if number is None else int(number),
    )


def chosen(result: Any) -> frozenset[str]:
    """The values that the rows of a result choose."""
    rows = result if isinstance(result, list) else []
    values = [row.get("value") for row in rows if isinstance(row, Mapping)]
    return frozenset(str(c) for value in values if isinstance(value, Mapping) for c in value.get("choices") or ())


def task(found: Json) -> RemoteTask:
    """From one task of a page with ``fields=all``."""
    return RemoteTask(
        id=int(_get(found, "id")),
        project=int(_get(found, "project")),
        created_at=seconds(_get(found, "created_at")),
        labelled=bool(_get(found, "is_labeled")),
        has_draft=bool(_get(found, "draft_exists") or _get(found, "drafts")),
        predictions=tuple(prediction(one) for one in _rows(found, "predictions")),
        annotations=tuple(_rows(found, "annotations")),
        raw=found,
    )


def seconds(when: Any) -> float:
    """Seconds since the epoch of an ISO time or a datetime; 0 when there is none."""
    if isinstance(when, datetime):
        return when.timestamp()
    if not when:
        return 0.0
    try:
        return datetime.fromisoformat(str(when)).timestamp()
    except ValueError:
        raise _unexpected("a time", str(when)) from None


def _get(found: Any, name: str) -> Any:
    """A member of JSON or of an SDK object; None when absent (the id alone is indispensable)."""
    value = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
    if value is None and name == "id":
        raise _unexpected("an object with an id", type(found).__name__)
    return value


def _rows(found: Json, name: str) -> Sequence[Json]:
    rows = found.get(name) or []
    # Without fields=all Label Studio gives these as text.
    if not isinstance(rows, list):
        raise _unexpected(f"a list of {name}", type(rows).__name__)
    return rows


def _text(value: Any) -> str:
    """Text of a string or of an SDK enumeration's member."""
    return str(getattr(value, "value", value) or "")


def _unexpected(expected: str, found: str) -> UnavailableError:
    return UnavailableError(
        f"Label Studio answered with {found!r} where {expected} was expected; is LABEL_STUDIO_URL right?"
    )
