"""Published beliefs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
import safetensors.numpy
from redis import Redis

from pal_backend.core.grouping import Grouping
from pal_backend.core.paying import Effort, Outlook, Person
from pal_backend.core.posterior import Particulars, Posterior
from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.revisions import KEPT, Revision, Revisions
from pal_backend.store.sittings import Lease, Sittings
from pal_backend.store.versions import Versions
from tests.store.test_versions import version
from tests.store.values import SAMPLES


def belief(share: float) -> Posterior:
    """Eight samples in two groups."""
    probabilities = np.tile(np.array([share, 1 - share], np.float32), (8, 1))
    components = np.array([0, 0, 1, 1, -1, -1, -1, -1], np.int32)
    one = np.array([[1.0, 0.1], [0.1, 1.0]], np.float32)
    sides, two = np.array([[1], [-1], [0]], np.int8), np.array([0.3], np.float32)
    known = Particulars(np.arange(3, dtype=np.int32), probabilities[:3] @ one, sides, two)
    cannot = np.array([[0, 1]], np.int32)
    return Posterior(SAMPLES, SAMPLES[:2], probabilities, components, cannot, 1.5, -0.25, one=one, particulars=known)


class Site:
    """A project with one version, and what is needed to publish."""

    def __init__(self, redis: Redis, artefacts: Artefacts) -> None:
        self.redis, self.artefacts = redis, artefacts
        self.sittings = Sittings(redis, "digits")
        self.versions = Versions(redis, artefacts, "digits")
        self.revisions = self.reader()
        self.versions.write(version("v0000"), None, [])

    def reader(self) -> Revisions:
        """As another process sees it."""
        return Revisions(self.redis, self.artefacts, "digits")

    def lease(self) -> Lease:
        """A new lease; the one before has run out."""
        self.redis.delete("pal:digits:lease")
        lease = self.sittings.take("worker", 10)
        assert lease is not None
        return lease

    def publish(
        self,
        lease: Lease,
        share: float = 0.5,
        answers: int = 1,
        latencies: tuple[float, ...] = (),
        effort: Effort | None = None,
        posterior: Posterior | None = None,
    ) -> Revision:
        """Publish a belief."""
        return self.revisions.publish(
            posterior or belief(share),
            version="v0000",
            answers=answers,
            contradictions=[[SAMPLES[0], SAMPLES[3]]],
            lease=lease,
            now=1000.5,
            latencies=latencies,
            cursor="5-0",
            effort=effort,
        )

    def folders(self) -> list[str]:
        """Names in the folder of revisions."""
        return self.artefacts.list("projects/digits/revisions")


@pytest.fixture(params=["local", "memory"])
def site(request: pytest.FixtureRequest, redis: Redis, tmp_path: Path) -> Iterator[Site]:
    """A project on a local folder and on an object store."""
    yield Site(redis, Artefacts(str(tmp_path) if request.param == "local" else "memory://bucket"))
    fsspec.filesystem("memory").store.clear()


def test_a_revision_comes_back_as_it_was(site: Site) -> None:
    """Header and arrays are read by another process just as they were published."""
    assert site.revisions.current() is None and site.revisions.posterior() is None
    published = site.publish(site.lease(), 0.25, answers=7)
    assert published == Revision(
        number=1,
        version="v0000",
        answers=7,
        cursor="5-0",
        groups=2,
        contradictions=[[SAMPLES[0], SAMPLES[3]]],
        published_at=1000.5,
        posterior={"groups": list(SAMPLES[:2]), "slope": 1.5, "intercept": -0.25, "quality": None},
    )
    other = site.reader()
    assert other.current() == published
    read = other.posterior()
    assert read is not None
    expected = belief(0.25)
    assert (read.sample_ids, read.groups, read.slope, read.intercept) == (SAMPLES, SAMPLES[:2], 1.5, -0.25)
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(read.arrays()[name], array)
    assert other.posterior() is read


QUALITY = Quality(
    Accuracy(0.94, 0.9, 0.97, 52), 0.015, (StoppingVerdict("worth", False, 0.015, 0.005, "It is worth it."),), 0.98
)


def test_the_quality_comes_back_as_it_was(site: Site) -> None:
    """Accuracy, worth and stopping verdicts stand in the header, read from Redis or from the file."""
    posterior = replace(belief(0.25), quality=QUALITY)
    site.publish(site.lease(), posterior=posterior)
    for _ in range(2):
        current, read = site.reader().current(), site.reader().posterior()
        assert current is not None and Quality.from_json(current.posterior["quality"]) == QUALITY
        assert read is not None and read.quality == QUALITY
        site.redis.flushdb()


def test_a_revision_from_before_there_were_checks_is_read(site: Site) -> None:
    """A header without quality is one that nobody looked for; one that is spoilt is refused with its place."""
    site.publish(site.lease())
    path = "projects/digits/revisions/1/revision.json"
    record = json.loads(site.artefacts.read(path))
    del record["posterior"]["quality"]
    site.artefacts.write_file(path, json.dumps(record).encode())
    read = site.reader().posterior()
    assert read is not None and read.quality is None
    record["posterior"]["quality"] = {"accuracy": {"estimate": 2.0}, "stopping": []}
    site.artefacts.write_file(path, json.dumps(record).encode())
    with pytest.raises(InputError, match=r"accuracy\.low"):
        site.reader().posterior()


EFFORT = Effort(
    {QuestionKind.PAIR: Outlook(4.5, 30, 2, 8, 0.75, 1.0), QuestionKind.SCREEN: Outlook(12.0, 0)},
    (Person("7", 40, 0.04, {QuestionKind.PAIR: 4.25}), Person("", 1, None)),
    0.25,
)


def test_what_answering_costs_comes_back_as_it_was(site: Site) -> None:
    """Seconds, gains and people stand in the revision, read from Redis or, when that was lost, from its file."""
    published = site.publish(site.lease(), effort=EFFORT)
    assert published.effort == EFFORT
    assert site.reader().current() == published
    site.redis.flushdb()
    assert site.reader().current() == published


def test_a_revision_from_before_effort_was_measured_is_read(site: Site) -> None:
    """Nothing is known of the effort then, and everything else stands."""
    published = site.publish(site.lease(), effort=EFFORT)
    record = json.loads(str(site.redis.hget("pal:digits:revision", "json")))
    del record["effort"]
    site.redis.hset("pal:digits:revision", "json", json.dumps(record))
    assert site.reader().current() == replace(published, effort=Effort())


@pytest.mark.parametrize(
    "spoilt",
    [
        [],
        {"outlooks": {"riddle": {}}},
        {"outlooks": {"pair": {"seconds": 0}}},
        {"people": [{"name": 7}]},
        {"people": [{"name": "7", "answers": 1, "median_seconds": {"pair": "quick"}}]},
        {"error": "large"},
    ],
)
def test_a_spoilt_effort_is_named(site: Site, spoilt: object) -> None:
    """What somebody wrote there by hand is refused with its place."""
    site.publish(site.lease(), effort=EFFORT)
    record = json.loads(str(site.redis.hget("pal:digits:revision", "json")))
    record["effort"] = {**record["effort"], **spoilt} if isinstance(spoilt, dict) else spoilt
    site.redis.hset("pal:digits:revision", "json", json.dumps(record))
    with pytest.raises(InputError, match="effort"):
        site.reader().current()


def test_beliefs_without_groups_or_seams_come_back(site: Site) -> None:
    """Nothing is known of single samples, or no group may be two: arrays of no column."""
    bare = replace(belief(0.25), one=None, particulars=None)
    known = Particulars(
        *(some[:0] for some in (np.zeros(1, np.int32), bare.probabilities)),
        np.zeros((0, 0), np.int8),
        np.zeros(0, np.float32),
    )
    for posterior in (bare, replace(bare, particulars=known)):
        site.publish(site.lease(), posterior=posterior)
        read = site.reader().posterior()
        assert read is not None
        assert (read.particulars is None) == (posterior.particulars is None)
        assert (read.probability_same([0, 1], [2, 3]) == posterior.probability_same([0, 1], [2, 3])).all()


def test_a_new_revision_replaces_the_one_in_memory(site: Site) -> None:
    """A reader that holds a posterior sees the next one as soon as it is published."""
    reader, lease = site.reader(), site.lease()
    for share in (0.25, 0.75):
        site.publish(lease, share)
        read = reader.posterior()
        assert read is not None and read.probabilities[0, 0] == np.float32(share)


def test_an_older_lease_cannot_publish_over_a_newer_one(site: Site) -> None:
    """A sitting that lost its lease gets a conflict, and nothing changes: key, file, folders, latencies."""
    old = site.lease()
    site.publish(old)
    new = site.lease()
    current = site.publish(new, 0.75, latencies=(1.0,))
    folders = site.folders()
    with pytest.raises(ConflictError, match="taken over"):
        site.publish(old, 0.1, latencies=(9.0,))
    assert site.reader().current() == current
    assert site.folders() == folders
    assert site.revisions.latencies() == [1.0]
    assert site.publish(new).number == 3


def test_a_lease_overtaken_while_it_writes_cannot_publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fence is checked again in the step that publishes, and the useless folder is removed."""
    old = site.lease()
    write = Artefacts.write_folder
    newer: list[Revision] = []

    def overtaken(self: Artefacts, path: str, files: dict[str, bytes]) -> None:
        write(self, path, files)
        monkeypatch.undo()
        newer.append(site.publish(site.lease(), 0.75))

    monkeypatch.setattr(Artefacts, "write_folder", overtaken)
    with pytest.raises(ConflictError):
        site.publish(old, 0.1)
    assert site.reader().current() == newer[0]
    assert site.folders() == ["2", "CURRENT"]


def test_a_kill_before_publishing_leaves_the_one_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that no pointer names is not seen; the next revision has a number of its own."""
    lease = site.lease()
    first = site.publish(lease)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Revisions, "_commit", killed)
    with pytest.raises(KeyboardInterrupt):
        site.publish(lease, 0.75)
    monkeypatch.undo()
    assert site.reader().current() == first
    assert site.publish(lease).number == 3


def test_the_last_three_are_kept(site: Site) -> None:
    """Older folders are removed, so that publishing for a year does not fill the disk."""
    lease = site.lease()
    for _ in range(6):
        site.publish(lease)
    assert KEPT == 3
    assert site.folders() == ["4", "5", "6", "CURRENT"]


def test_the_loss_of_redis_is_survived(site: Site) -> None:
    """CURRENT names the last revision; numbers go on from it; a lease from before cannot publish any more."""
    before = site.lease()
    site.publish(before)
    last = site.publish(before, 0.75)
    site.redis.flushdb()
    reader = site.reader()
    assert reader.current() == last
    read = reader.posterior()
    assert read is not None and read.probabilities[0, 0] == np.float32(0.75)
    with pytest.raises(ConflictError):
        site.publish(replace(before, fence=before.fence + 5))
    assert site.publish(site.lease()).number == 3


def test_latencies_are_the_last_thousand(site: Site) -> None:
    """Newest first, and capped."""
    lease = site.lease()
    site.publish(lease, latencies=tuple(float(n) for n in range(600)))
    site.publish(lease, latencies=tuple(float(n) for n in range(600, 1300)))
    assert site.revisions.latencies() == [float(n) for n in range(1299, 299, -1)]


def test_readers_see_whole_revisions_while_many_are_published(site: Site) -> None:
    """Threads that share one object read all the while; each posterior is one that was published."""
    lease = site.lease()
    site.publish(lease, 0.0)
    problems: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                found = site.revisions.posterior()
                assert found is not None
                share = found.probabilities[:, 0]
                assert (share == share[0]).all()
            except Exception as problem:
                problems.append(problem)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(30):
        site.publish(lease, number / 32)
        time.sleep(0.002)
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []


@pytest.mark.parametrize("key", ["number", "json"])
def test_a_malformed_record_names_its_place(site: Site, key: str) -> None:
    """What somebody else wrote into Redis is an InputError."""
    site.publish(site.lease())
    site.redis.hset("pal:digits:revision", key, "x/../1")
    with pytest.raises(InputError, match="pal:digits:revision"):
        site.revisions.posterior() if key == "number" else site.revisions.current()


def test_missing_or_malformed_files_are_named(site: Site) -> None:
    """A revision whose files do not fit, or are gone, is an error that names the file."""
    site.publish(site.lease())
    path = "projects/digits/revisions/1/posterior.safetensors"
    site.artefacts.write_file(path, b"nonsense")
    with pytest.raises(InputError, match=path):
        site.reader().posterior()
    site.artefacts.remove("projects/digits/revisions/1")
    with pytest.raises(NotFoundError, match="revisions/1"):
        site.reader().posterior()


def test_the_grouping_comes_with_its_revision(site: Site) -> None:
    """The same as the posterior's own, kept until the next revision."""
    assert site.reader().grouping() is None
    lease = site.lease()
    site.publish(lease, 0.75)
    reader = site.reader()
    found = reader.grouping()
    assert found is not None and reader.grouping() is found
    assert found.sized == Grouping.of(belief(0.75)).sized and [group.size for group in found.sized] == [8]
    site.publish(lease, 0.25)
    later = reader.grouping()
    assert later is not None and later.sized[0].id == SAMPLES[1]


def test_the_grouping_of_an_earlier_release_is_worked_out(site: Site) -> None:
    """Its revisions have no file of it; a malformed file is named."""
    number = site.publish(site.lease(), 0.75).number
    path = f"projects/digits/revisions/{number}/grouping.safetensors"
    site.artefacts.remove(path)
    found = site.reader().grouping()
    assert found is not None and found.sized == Grouping.of(belief(0.75)).sized
    site.artefacts.write_file(path, safetensors.numpy.save({"order": np.zeros(3, np.int32)}))
    with pytest.raises(InputError, match=r"grouping\.safetensors"):
        site.reader().grouping()
