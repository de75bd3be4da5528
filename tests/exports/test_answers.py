"""Answers out of one project and into another, and out again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pal_backend import wire
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Purpose, QuestionKind, Verdict
from pal_backend.credentials import Credentials
from pal_backend.errors import InputError, NotFoundError
from pal_backend.exports.answers import MAX_ANSWERS, take_in, tell
from pal_backend.exports.making import make
from pal_backend.joining import Joiner, Wanted
from pal_backend.label_studio_values import RemoteTask
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import load_samples
from pal_backend.queues import Queues
from pal_backend.reconcile import Reconciler
from pal_backend.samples import ingest
from pal_backend.settings import Settings
from pal_backend.store.imports import IMPORTED, Imports
from pal_backend.store.records import load_lines
from pal_backend.store.stores import Stores
from tests.exports.house import NOW, House, build_house, said
from worker.bootstrap import Workshop
from worker.sitting import Sitting


@pytest.fixture
def other(house: House, tmp_path: Path) -> House:
    """Another project over the same pictures, in which nobody has answered."""
    return build_house(house.stores, tmp_path / "pool", "finches")


def exported(house: House) -> bytes:
    """The answers as a file."""
    return make(house.snapshot(), "answers").data


def follow(house: House) -> None:
    """Fold in what the stream holds, as a worker does."""
    stores = house.stores
    place = stores.redis.connection_pool.connection_kwargs
    settings = Settings(redis_url=f"redis://{place['host']}:{place['port']}/{place['db']}")
    tell(stores, house.name, NOW)
    lease = stores.sittings(house.name).take("test", 60)
    assert lease is not None
    shop = Workshop(settings, Credentials(), stores, Queues(settings.redis_url), lambda: NOW)
    sitting = Sitting(stores.projects.get(house.name), shop, lease, Once())
    sitting.run()
    stores.sittings(house.name).release(lease)


class Once:
    """Lets a sitting go round once."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > 1


def test_answers_that_went_there_give_the_same_groups(house: House, other: House) -> None:
    """Out of one project, into another over the same pool: the same groups, beliefs, people and checks."""
    taken = take_in(house.stores, "finches", exported(house), "answers.jsonl", NOW)
    assert (taken.new, taken.known, taken.own, taken.unknown_answers) == (121, 0, 0, 0)
    follow(other)
    here, there = house.snapshot(), other.snapshot()
    assert here.posterior is not None and there.posterior is not None and there.grouping is not None
    assert there.posterior.groups == here.posterior.groups and len(there.grouping.sized) >= 3
    assert there.posterior.assignment()[0].tolist() == here.posterior.assignment()[0].tolist()
    assert {a.key.desk for a in there.annotations} == {IMPORTED}
    assert {a.annotator.partition("@")[0] for a in there.annotations} == {"1", "2"}
    assert all("@" in a.annotator for a in there.annotations), "number 1 of another Label Studio is another person"
    assert sum(a.purpose is Purpose.VERIFY for a in there.answers) == sum(
        a.purpose is Purpose.VERIFY for a in here.answers
    )


def test_importing_twice_changes_nothing_and_a_newer_export_brings_what_is_new(house: House, other: House) -> None:
    """Whatever the file is called; an annotation that was changed since takes its place and keeps its number."""
    first = take_in(house.stores, "finches", exported(house), "a.jsonl", NOW)
    again = take_in(house.stores, "finches", exported(house), "b.jsonl", NOW)
    assert (again.id, again.new, again.known) == ("", 0, 121)
    old = house.stores.answers("digits").all()[0]
    changed = tuple(replace(a, verdict=Verdict.UNSURE, updated_at=a.updated_at + 50_000_000) for a in old.answers)
    house.give([replace(old, answers=changed, updated_at=old.updated_at + 50_000_000), *said(house, 5, start=700)])
    newer = take_in(house.stores, "finches", exported(house), "c.jsonl", NOW + 100)
    assert (newer.new, newer.changed, newer.known) == (6, 1, 120)
    follow(other)
    imports = Imports(house.stores.artefacts, "finches")
    assert {one.id: one.annotations for one in imports.known()} == {first.id: 120, newer.id: 7}
    assert len(other.stores.answers("finches").all()) == 127
    assert sum(a.verdict is Verdict.UNSURE for a in other.snapshot().answers) == 1


def test_an_import_is_taken_out_again_and_may_come_back(house: House, other: House) -> None:
    """What was withdrawn for ever under one number comes under another."""
    taken = take_in(house.stores, "finches", exported(house), "a.jsonl", NOW)
    follow(other)
    imports = Imports(house.stores.artefacts, "finches")
    with pytest.raises(NotFoundError, match=taken.id):
        imports.remove("../x")
    imports.remove(taken.id)
    follow(other)
    assert other.stores.answers("finches").all() == [] and other.snapshot().grouping is None
    assert take_in(house.stores, "finches", exported(house), "a.jsonl", NOW).new == 121
    follow(other)
    assert len(other.stores.answers("finches").all()) == 121


def test_imports_outlive_redis(house: House, other: House) -> None:
    """The artefact folder has them; the first sitting puts them back, and doing so again changes nothing."""
    take_in(house.stores, "finches", exported(house), "a.jsonl", NOW)
    follow(other)
    before = other.stores.answers("finches").all()
    house.stores.redis.flushdb()
    follow(other)
    assert other.stores.answers("finches").all() == before
    imports = Imports(house.stores.artefacts, "finches")
    assert imports.follow(house.stores.answers("finches")) == ([], [])


class Emptied:
    """A Label Studio in which nothing is left."""

    url = "http://label.test"

    def tasks(self, project: int, **_: object) -> Iterator[RemoteTask]:
        return iter(())

    def annotation_exists(self, annotation: int) -> bool:
        return False


def test_no_reconcile_withdraws_what_was_imported(house: House, other: House) -> None:
    """Label Studio knows nothing of it; answers of a live desk that are gone there are withdrawn as ever."""
    take_in(house.stores, "finches", exported(house), "a.jsonl", NOW)
    follow(other)
    other.stores.answers("finches").put(said(other, 2, start=900))
    reconciler = Reconciler(house.stores, Emptied(), lambda: NOW)  # type: ignore[arg-type]
    report = reconciler.reconcile(house.stores.projects.get("finches"))
    assert (report.withdrawn, report.held) == (3, 0)
    assert {d.key.desk for d in reconciler.differences(house.stores.projects.get("finches"))} == {"pairs"}
    follow(other)
    assert len(other.stores.answers("finches").all()) == 121


def test_no_desk_may_stand_where_imports_do(house: House, settings: Settings) -> None:
    """It is refused before Label Studio is asked anything."""
    joiner = Joiner(house.stores, None, settings, Credentials())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot be called imported"):
        joiner.join(house.stores.projects.get("digits"), Wanted(IMPORTED, QuestionKind.PAIR))


def test_a_project_does_not_take_in_its_own_answers(house: House, other: House) -> None:
    """Not straight, and not by way of another project."""
    assert take_in(house.stores, "digits", exported(house), "a.jsonl", NOW).own == 121
    take_in(house.stores, "finches", exported(house), "a.jsonl", NOW)
    other.stores.answers("finches").put(said(other, 3, start=40))
    follow(other)
    back = take_in(house.stores, "digits", exported(other), "b.jsonl", NOW)
    assert (back.own, back.new) == (121, 4)


def test_answers_on_unknown_samples_are_left_out_until_the_pool_has_them(house: House, tmp_path: Path) -> None:
    """They are counted and some are named; checks of another pool are answers like any other."""
    smaller = build_house(house.stores, tmp_path / "half", "half", samples=30)
    taken = take_in(house.stores, "half", exported(house), "a.jsonl", NOW)
    assert taken.unknown > 50 and taken.unknown_answers == taken.unknown
    assert 0 < len(taken.unknown_samples) <= 5 and taken.new + taken.unknown == 121
    follow(smaller)
    assert all(a.purpose is Purpose.PLACE for a in smaller.snapshot().answers)
    for path in (tmp_path / "pool").iterdir():
        (tmp_path / "half" / path.name).write_bytes(path.read_bytes())
    ingest(FolderPool(tmp_path / "half"), house.stores.artefacts, "half", 16)
    assert len(load_samples(house.stores.artefacts, "half")) == 60
    later = take_in(house.stores, "half", exported(house), "a.jsonl", NOW)
    assert (later.unknown, later.new) == (0, taken.unknown)


def test_the_file_is_what_training_reads(house: House) -> None:
    """`pal train --answers` reads it, and nothing of it tells where Label Studio is."""
    data = exported(house)
    assert load_lines(data, "answers.jsonl") == house.stores.answers("digits").all()
    assert b"http" not in data


def broken(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """The file with its second line changed."""

    def damage(data: bytes) -> bytes:
        lines = data.splitlines()
        value = json.loads(lines[1])
        change(value)
        lines[1] = json.dumps(value).encode()
        return b"\n".join(lines)

    return damage


FAR = int((NOW + 1e6) * 1e6)


DAMAGES: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda data: b"[1]\n" + data, "line 1"),
    (lambda data: data[:-40], "no JSON"),
    (lambda data: data + data.splitlines()[0], "again"),
    (broken(lambda v: v.update(key="pairs")), "desk:number"),
    (broken(lambda v: v.update(key="pairs:-4")), "0 to 2"),
    (broken(lambda v: v.update(source="http://evil")), "16 hex digits"),
    (broken(lambda v: v["answers"][0].__setitem__(2, "yes")), "one of same, different"),
    (broken(lambda v: v["answers"][0].__setitem__(0, "../x")), "16 hex digits"),
    (broken(lambda v: v["answers"][0].__setitem__(4, 1.0)), "between 0 and 1"),
    (broken(lambda v: v["answers"].append(v["answers"][0])), "each once"),
    (broken(lambda v: v.update(answers=v["answers"] * (MAX_ANSWERS + 1))), "at most 200"),
    (broken(lambda v: v.update(updated_at=FAR)), "not after tomorrow"),
    (broken(lambda v: v.update(seconds=-1)), "0 to a day"),
    (broken(lambda v: v.update(annotator="x" * 2000)), "at most 1000"),
    (broken(lambda v: v.update(annotator=7)), "a string"),
]


def test_a_malformed_line_stops_the_whole_file(house: House, other: House) -> None:
    """The message names file and line, what was found and what is expected; nothing is taken in."""
    whole = exported(house)
    for damage, words in DAMAGES:
        with pytest.raises(InputError, match=r"bad\.jsonl line") as problem:
            take_in(house.stores, "finches", damage(whole), "bad.jsonl", NOW)
        assert words in str(problem.value)
    assert Imports(house.stores.artefacts, "finches").known() == []


def test_the_event_survives_the_stream(stores: Stores) -> None:
    """It is read as it was written."""
    stores.events("digits").append(wire.ImportsChanged(), 1.0, IMPORTED)
    assert [e.event for e in stores.events("digits").read("0-0", 9)] == [wire.ImportsChanged()]


def test_an_annotation_without_answers_is_known_again(house: House, other: House) -> None:
    """A skip counts as dealt with there too."""
    take_in(house.stores, "finches", exported(house), "a.jsonl", NOW)
    follow(other)
    skips: list[Annotation] = [a for a in other.stores.answers("finches").all() if a.skipped]
    assert [a.note for a in skips] == ["skipped"] and isinstance(skips[0].key, AnnotationKey)
