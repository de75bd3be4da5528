"""The team's way into our pages: its passwords, and where to go."""

from __future__ import annotations

from dataclasses import replace

from pal_backend.credentials import Credentials
from pal_backend.passwords import hashed, matches, new_password
from pal_backend.settings import Settings

FIELDS = {"lead": "lead_password", "viewer": "viewer_password"}
"""Role to the field of :class:`Credentials` that keeps the hash of its password."""


def change_password(settings: Settings, role: str, *, remove: bool = False) -> str | None:
    """Make a new password for a role, or none; returns it, since only its hash is kept.

    Raises:
        ConfigError: the file of secrets cannot be used.
    """
    made = None if remove else new_password()
    _keep(settings, role, "" if made is None else hashed(made))
    return made


def let_in(settings: Settings, role: str, password: str) -> None:
    """Let a password that is known already open a role; nothing is written if it does.

    Raises:
        ConfigError: the file of secrets cannot be used.
    """
    if not matches(password, str(getattr(Credentials.kept(settings), FIELDS[role]))):
        _keep(settings, role, hashed(password))


def way_in(settings: Settings) -> str:
    """Where the pages are and how one comes in, in a sentence.

    Raises:
        ConfigError: the file of secrets cannot be used.
    """
    kept = Credentials.kept(settings)
    known = kept.lead_password or kept.viewer_password
    how = "a forgotten password is replaced by `pal password`" if known else "`pal password` makes the password for it"
    return f"the team's pages: {settings.public}/projects ({how})"


def _keep(settings: Settings, role: str, kept: str) -> None:
    Credentials.load_or_create(settings)
    replace(Credentials.kept(settings), **{FIELDS[role]: kept}).save(settings)
