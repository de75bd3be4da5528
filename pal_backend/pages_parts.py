"""What the routes of all pages are made of: headers, static files, the renderer of templates, forms."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pal_backend.core.quality import percent
from pal_backend.door import Visitor
from pal_backend.live import changes

HERE = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PRIVATE = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
FOR_EVER = {**SECURITY_HEADERS, "Cache-Control": "private, max-age=31536000, immutable"}
"""Of what is named by its content: samples and static files."""


@dataclass(frozen=True)
class Static:
    """The files of ``static/``, read once."""

    files: Mapping[str, bytes]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them."""
        return cls({path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES})

    def url(self, name: str) -> str:
        """Its address, which changes with its content."""
        return f"/static/{name}?v={hashlib.sha256(self.files[name]).hexdigest()[:12]}"


class Pages:
    """Renders templates."""

    def __init__(
        self, static: Static, words: Callable[[str, str, str], str] = lambda project, sample, alt: alt
    ) -> None:
        self.static = static
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = static.url
        self._environment.globals["words"] = words
        self._environment.filters["moment"] = _moment
        self._environment.filters["percent"] = lambda share: f"{percent(share)} %"

    def render(self, template: str, visitor: Visitor | None, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page."""
        text = self._environment.get_template(template).render(visitor=visitor, **values)
        return HTMLResponse(text, status, PRIVATE)


def stream(stamp: Callable[[], str], closing: Callable[[], bool]) -> StreamingResponse:
    """Events that tell a page of each change of its stamp; no proxy may hold them back."""
    headers = {**PRIVATE, "X-Accel-Buffering": "no"}
    return StreamingResponse(changes(stamp, closing), media_type="text/event-stream", headers=headers)


def form_of(content: bytes) -> dict[str, str]:
    """The fields of a form, each once; what is no form has none."""
    try:
        fields = parse_qs(content.decode("utf-8", "replace"), max_num_fields=20, keep_blank_values=True)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _moment(at: float) -> str:
    """A time for people, in UTC: the server does not know where they are."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
