"""What Prometheus is told about requests."""

from __future__ import annotations

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from pal_backend.metrics import Measured, Metrics

SECONDS = 0.2


def told(kind: bytes) -> str:
    """The metrics after one request whose body takes a while; an empty kind is an app that fails."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not kind:
            raise RuntimeError
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", kind)]})
        await anyio.sleep(SECONDS)
        await send({"type": "http.response.body", "body": b""})

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def nowhere(message: Message) -> None:
        return None

    async def run() -> None:
        await Measured(app, metrics)({"type": "http"}, nothing, nowhere)

    metrics = Metrics(list)
    if kind:
        anyio.run(run)
    else:
        with pytest.raises(RuntimeError):
            anyio.run(run)
    return metrics.render().decode()


@pytest.mark.parametrize("kind", [b"text/event-stream; charset=utf-8", b"text/html"])
def test_a_stream_of_events_is_counted_when_it_begins(kind: bytes) -> None:
    """It lasts as long as somebody looks; other answers are counted with all of their time. Each is counted once."""
    text = told(kind)
    [taken] = [line.split()[1] for line in text.splitlines() if line.startswith("pal_request_seconds_sum")]
    assert 'pal_requests_total{route="other",status="200"} 1.0' in text
    assert (float(taken) >= SECONDS) == (kind == b"text/html")


def test_a_request_that_fails_is_counted() -> None:
    """As an error of ours."""
    assert 'pal_requests_total{route="other",status="500"} 1.0' in told(b"")
