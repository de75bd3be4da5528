"""The jobs. Each takes JSON scalars, can be killed and run again at any point, and reads as its few steps.

``pal_backend.queues`` names these functions; a test resolves the names.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import asdict, replace
from typing import Any

from pal_backend import queues, samples
from pal_backend.choosing import settled
from pal_backend.core.projection import project as project_features
from pal_backend.coverage import cover_pool
from pal_backend.doctor import diagnose
from pal_backend.errors import ConflictError, NotFoundError
from pal_backend.exports.making import make_and_keep
from pal_backend.exports.pushing import Pusher
from pal_backend.exports.snapshot import Snapshot
from pal_backend.media import MediaLinks
from pal_backend.pool_sources import Sources
from pal_backend.reconcile import Reconciler
from pal_backend.refill import Refiller
from worker import bootstrap, training
from worker.bootstrap import Workshop
from worker.sitting import LEASE_SECONDS, Sitting
from worker.stopping import StopFlag

log = logging.getLogger(__name__)

EXAMINE_SECONDS = 900.0
"""A report of the doctor older than this is made anew when the next reconcile is due."""


def learn(project: str) -> dict[str, Any]:
    """Hold a sitting, unless somebody else holds one."""
    shop = bootstrap.build()
    sittings = shop.stores.sittings(project)
    sittings.clear_wake()
    lease = sittings.take(f"{socket.gethostname()}-{os.getpid()}", LEASE_SECONDS)
    if lease is None:
        return {"sitting": "held elsewhere"}
    stop = StopFlag().install()
    try:
        folded = Sitting(shop.stores.projects.get(project), shop, lease, stop).run()
    finally:
        sittings.release(lease)
    # An event that came after the last read saw the lease still held and woke nobody.
    if shop.stores.events(project).pending() and not stop():
        shop.queues.learn(project)
    return {"events": folded}


def refill(project: str) -> dict[str, Any]:
    """Post the journalled questions of every live desk, and bring scores and model version up to date."""
    shop = bootstrap.build()
    refiller = Refiller(shop.stores, shop.label_studio(), shop.settings, shop.credentials, shop.clock)
    found = shop.stores.projects.get(project)
    return {desk.name: refiller.refill(found, desk).to_json() for desk in found.desks if not desk.retired}


def reconcile(project: str, why: str = "") -> dict[str, Any]:
    """Compare Label Studio's annotations with ours and send the differences through the event stream."""
    shop = bootstrap.build()
    report = Reconciler(shop.stores, shop.label_studio(), shop.clock).reconcile(shop.stores.projects.get(project))
    if report.changed:
        shop.queues.learn(project)
    return report.to_json()


def examine(project: str) -> dict[str, Any]:
    """Let the doctor look, and keep what it finds for those who look at pages."""
    shop = bootstrap.build()
    findings = diagnose(shop.settings, shop.credentials, shop.stores, [shop.stores.projects.get(project)])
    shop.stores.reports(project).put([asdict(finding) for finding in findings], shop.clock())
    return {"wrong": sum(finding.ok is False for finding in findings)}


def train(project: str, revision: int, why: str = "") -> dict[str, Any]:
    """Train on the graph as it stands, publish the version, make it current if it is not worse."""
    shop = bootstrap.build()
    stop = StopFlag().install()
    snapshot = training.take_snapshot(shop, project, revision)
    outcome = training.take_as_it_comes(shop, snapshot)
    if outcome is None:
        trained = training.run(shop, snapshot, queues.report_progress, stop)
        difficulty = training.pretext_losses(shop, snapshot, queues.report_progress, stop)
        outcome = training.publish(shop, replace(snapshot, difficulty=difficulty), trained)
    shop.queues.learn(project)
    shop.queues.refill(project)
    _ask_for_map(shop, project)
    return outcome


def ingest(project: str) -> dict[str, Any]:
    """Take in what is new in the pool; a pool that has changed gets a version that covers it."""
    shop = bootstrap.build()
    kept = shop.stores.projects.get(project)
    pool = Sources(shop.settings, shop.label_studio).open(kept.pool, kept.medium)
    found = samples.ingest(
        pool,
        shop.stores.artefacts,
        project,
        shop.settings.image_size,
        lambda done, of: queues.report_progress({"done": done, "of": of}),
        medium=kept.medium,
    )
    learns = settled(kept, shop.stores, shop.operator).choice
    version = cover_pool(
        shop.stores,
        project,
        shop.settings.device,
        learns,
        strategy=kept.strategy,
        seed=shop.settings.seed,
        progress=lambda state: queues.report_progress({"doing": "pretext", **state}),
    )
    shop.queues.learn(project)
    _ask_for_map(shop, project)
    return {"samples": found.samples, "new": found.new, "version": None if version is None else version.id}


def draw(project: str, version: str) -> dict[str, Any]:
    """Lay the samples of a version out on a plane, for the page with the map."""
    shop = bootstrap.build()
    maps = shop.stores.maps(project)
    if maps.has(version):
        return {"version": version, "drawn": "before"}
    features = shop.stores.versions(project).load(version).features
    started = shop.clock()
    places = project_features(features, seed=shop.settings.seed)
    maps.put(version, places, len(features))
    return {"version": version, "drawn": len(places.rows), "seconds": round(shop.clock() - started, 1)}


def export(project: str, kind: str) -> dict[str, Any]:
    """Make one kind of what is taken home, and keep it where the page finds it."""
    with queues.patient():
        made = make_and_keep(_snapshot(bootstrap.build(), project), kind)
    return {"file": made.file, "size": made.size, "holds": made.holds}


def push(project: str, target: int | None = None) -> dict[str, Any]:
    """Let a classification project of Label Studio show the groups as predictions."""
    shop = bootstrap.build()
    links = MediaLinks(shop.credentials.media_key, shop.settings.public)
    with queues.patient():
        return Pusher(shop.label_studio(), links).push(_snapshot(shop, project), target).to_json()


def _snapshot(shop: Workshop, project: str) -> Snapshot:
    return Snapshot.of(
        shop.stores,
        project,
        shop.operator,
        now=shop.clock(),
        device=shop.settings.device,
        progress=queues.report_progress,
    )


def look_after(shop: Workshop, reconcile_too: bool, pools_too: bool = False) -> None:
    """Wake sittings that nobody woke (a worker was killed, a version was published), reconcile what is due, look for new
    samples.
    """
    for project in shop.stores.projects.names():
        try:
            if shop.stores.sittings(project).holder() is None and _behind(shop, project):
                shop.queues.learn(project)
            if pools_too:
                shop.queues.ingest(project)
            if reconcile_too:
                _ask_for_map(shop, project)
                shop.queues.reconcile(project, "due")
                report = shop.stores.reports(project).last()
                if report is None or shop.clock() - report.at > EXAMINE_SECONDS:
                    shop.queues.examine(project)
        except (NotFoundError, ConflictError) as problem:
            log.info("%s: %s", project, problem)


def _ask_for_map(shop: Workshop, project: str) -> None:
    """Of the version in use, if it has none."""
    version = shop.stores.versions(project).current()
    if version is not None and not shop.stores.maps(project).has(version):
        shop.queues.draw(project, version)


def _behind(shop: Workshop, project: str) -> bool:
    """Whether the last revision lacks events or stems from another model version."""
    current = shop.stores.versions(project).current()
    if current is None:
        return False
    revision = shop.stores.revisions(project).current()
    return revision is None or revision.version != current or shop.stores.events(project).pending()
