"""The secrets of one installation: made once, kept in ``PAL_HOME/secrets.json`` (0600), overridden by the environment."""

from __future__ import annotations

import json
import secrets
import tempfile
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from pal_backend.errors import ConfigError
from pal_backend.settings import Settings

FILE = "secrets.json"
WEBHOOK_HEADER = "X-PAL-Secret"


@dataclass(frozen=True)
class Credentials:
    """Never logged: ``repr`` hides every value."""

    label_studio_token: str = field(default="", repr=False)
    basic_auth_user: str = field(default="pal", repr=False)
    basic_auth_password: str = field(default="", repr=False)
    webhook_secret: str = field(default="", repr=False)
    media_key: str = field(default="", repr=False)
    demo_password: str = field(default="", repr=False)
    """Password of the Label Studio account that `pal demo` makes; empty elsewhere."""
    session_key: str = field(default="", repr=False)
    """Seals the cookies of people who look at our pages."""
    lead_password: str = field(default="", repr=False)
    """As :func:`pal_backend.passwords.hashed` gives it; empty: nobody comes in as a lead."""
    viewer_password: str = field(default="", repr=False)

    @classmethod
    def load_or_create(cls, settings: Settings) -> Credentials:
        """Read ``secrets.json``, make what is missing, lay the environment's values over it.

        Raises:
            ConfigError: the file is not readable JSON of the known fields.
        """
        kept = cls.kept(settings)
        whole = replace(
            kept,
            basic_auth_password=kept.basic_auth_password or secrets.token_urlsafe(24),
            webhook_secret=kept.webhook_secret or secrets.token_urlsafe(24),
            media_key=kept.media_key or secrets.token_hex(32),
            session_key=kept.session_key or secrets.token_hex(32),
        )
        if whole != kept:
            whole.save(settings)
        return replace(
            whole,
            label_studio_token=settings.label_studio_token or whole.label_studio_token,
            basic_auth_user=settings.basic_auth_user or whole.basic_auth_user,
            basic_auth_password=settings.basic_auth_password or whole.basic_auth_password,
            webhook_secret=settings.webhook_secret or whole.webhook_secret,
        )

    @classmethod
    def kept(cls, settings: Settings) -> Credentials:
        """What ``secrets.json`` holds, without the environment's values.

        Raises:
            ConfigError: the file is not readable JSON of the known fields.
        """
        path = settings.home / FILE
        if not path.exists():
            return cls()
        try:
            found = json.loads(path.read_text())
            return cls(**{f.name: str(found[f.name]) for f in fields(cls) if f.name in found})
        except (ValueError, TypeError, KeyError) as problem:
            raise ConfigError(
                f"{path} is not a JSON object of secrets ({type(problem).__name__}); mend it, or move it away to have new ones made"
            ) from None

    def save(self, settings: Settings) -> None:
        """Write ``secrets.json`` whole or not at all, readable by its owner alone."""
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=settings.home, prefix=".secrets-", delete=False) as file:
            json.dump(asdict(self), file, indent=1)
        Path(file.name).replace(settings.home / FILE)
