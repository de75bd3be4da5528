"""What Label Studio says when it connects: its project, the labelling config, the extra parameters of its ML backend. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pal_backend import untrusted
from pal_backend.core.choice import Choice
from pal_backend.errors import InputError

MAX_CONFIG_CHARACTERS = 500_000
MAX_EXTRA_CHARACTERS = 10_000


@dataclass(frozen=True)
class SetupRequest:
    """``POST /setup``. The access token that comes with it is not read: it is a person's own key."""

    project: int
    """Label Studio's project id, 0 if it was not said."""
    url_project: str
    """The same with the time at which the project was made, as Label Studio spells it: ``"2.1795296157"``."""
    label_config: str
    hostname: str
    asked: Choice | None = None
    """How to learn, of the ML backend's extra parameters; None where they were not sent along."""


def parse_setup(body: Any) -> SetupRequest:
    """Read ``POST /setup``.

    Raises:
        InputError: not an object, or a field of another type than Label Studio gives it.
    """
    found = untrusted.mapping(body, "the body")
    project = untrusted.first(found.get("project"), "")
    return SetupRequest(
        project=project_id(project),
        url_project=project if isinstance(project, str) else "",
        label_config=untrusted.text(untrusted.first(found.get("schema"), ""), "schema", MAX_CONFIG_CHARACTERS),
        hostname=untrusted.text(untrusted.first(found.get("hostname"), ""), "hostname"),
        asked=_asked(found["extra_params"]) if "extra_params" in found else None,
    )


def _asked(value: Any) -> Choice:
    """Extra parameters as people write them: an object, or the text of one. What is not ours in them is passed over."""
    if isinstance(value, str):
        try:
            value = untrusted.decode(
                untrusted.text(value.strip() or "{}", "extra_params", MAX_EXTRA_CHARACTERS).encode()
            )
        except InputError:
            raise InputError(
                'extra_params is no JSON; expected an object such as {"recipe": "simclr"}; mend it in the settings of the '
                "ML backend"
            ) from None
    found = {} if value is None else untrusted.mapping(value, "extra_params")
    said = {part.name: found[part.name] for part in fields(Choice) if found.get(part.name) is not None}
    return Choice(**{name: untrusted.text(text, f"extra_params.{name}") for name, text in said.items()})


def project_id(value: Any) -> int:
    """``"2.1795296157"`` (id and time of creation) in ML calls, an object or an id elsewhere."""
    if isinstance(value, dict):
        value = value.get("id")
    if isinstance(value, str):
        head = untrusted.text(value, "project").partition(".")[0]
        value = int(head) if head.isascii() and head.isdigit() and len(head) < 16 else 0
    return 0 if value is None else untrusted.whole(value, "project")
