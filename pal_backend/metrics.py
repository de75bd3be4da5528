"""What Prometheus reads at ``/metrics``: counts of requests, and where each project stands when it asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pal_backend.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds; Label Studio gives a webhook 1.0 of them."""


class Metrics:
    """The numbers of one app; nothing is shared between apps."""

    def __init__(self, statuses: Callable[[], Sequence[Status]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Projects(statuses))
        self._requests = Counter("pal_requests", "Requests answered", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "pal_request_seconds", "Seconds to answer", ["route"], buckets=BUCKETS, registry=self._registry
        )

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is the pattern of its path, not the path itself, which anybody can choose."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)


class Measured:
    """ASGI middleware that observes every request; a stream of events when it begins, since it lasts as long as somebody looks."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, noted = time.perf_counter(), 500, False

        def observe() -> None:
            nonlocal noted
            if not noted:
                noted = True
                route = getattr(scope.get("route"), "path_format", "other")
                self._metrics.observe(route, status, time.perf_counter() - started)

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if _endless(message):
                    observe()
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            observe()


def _endless(message: Message) -> bool:
    """Whether a response that begins is a stream of events."""
    kinds = (value for name, value in message["headers"] if name.lower() == b"content-type")
    return any(kind.startswith(b"text/event-stream") for kind in kinds)


class _Projects(Collector):
    """Gauges of every project, read when Prometheus asks."""

    def __init__(self, statuses: Callable[[], Sequence[Status]]) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # registering must not read Redis

    def collect(self) -> Iterable[GaugeMetricFamily]:
        gauges = {
            "pal_annotations": "Annotations folded in",
            "pal_events_waiting": "1 while events wait to be folded in",
            "pal_revision": "Number of the last revision",
            "pal_groups": "Groups in the last revision",
            "pal_contradictions": "Contradictions in the last revision",
            "pal_webhook_to_revision_seconds": "Median seconds from webhook to revision",
            "pal_quarantined": "Files set aside",
        }
        families = {name: GaugeMetricFamily(name, text, labels=["project"]) for name, text in gauges.items()}
        waiting = GaugeMetricFamily("pal_open_questions", "Questions open on a desk", labels=["project", "desk"])
        queued = GaugeMetricFamily("pal_jobs_waiting", "Jobs waiting in a queue", labels=["queue"])
        statuses = self._statuses()
        for queue, jobs in (statuses[0].jobs_waiting if statuses else {}).items():
            queued.add_metric([queue], jobs)
        for status in statuses:
            values = (
                status.annotations,
                status.events_waiting,
                status.revision or 0,
                status.groups,
                status.contradictions,
                status.median_seconds_webhook_to_revision or 0.0,
                status.quarantined,
            )
            for family, value in zip(families.values(), values, strict=True):
                family.add_metric([status.project], float(value))
            for desk in status.desks:
                waiting.add_metric([status.project, desk.name], desk.open_questions)
        return [*families.values(), waiting, queued]
