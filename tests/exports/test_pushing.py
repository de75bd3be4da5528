"""Groups as predictions in a real Label Studio: once each, whatever is killed, and nothing of others is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from label_config.classes import classes_config, read_classes
from label_config.render import pair_config
from pal_backend.errors import InputError, NotFoundError
from pal_backend.exports.pushed import Pushed
from pal_backend.exports.pushing import Pusher, marker
from pal_backend.label_studio_values import RemoteTask
from pal_backend.media import MediaLinks
from pal_backend.store.stores import Stores
from tests.exports.house import House, build_house, said
from tests.label_studio_server import LabelStudioServer
from tests.refill_house import Killed, Mortal

pytestmark = pytest.mark.e2e

N = 24
LINKS = MediaLinks("00" * 32, "http://127.0.0.1:9090")


@pytest.fixture
def house(stores: Stores, tmp_path: Path) -> House:
    """A few digits of three kinds, with right answers."""
    found = build_house(stores, tmp_path / "pool", samples=N)
    found.give(said(found, 60))
    return found


@pytest.fixture
def client(label_studio: LabelStudioServer) -> Iterator[Mortal]:
    """A client; the projects that it makes are gone afterwards."""
    with closing(Mortal(label_studio.url, label_studio.pat)) as client:
        before = {project.id for project in client.projects()}
        yield client
        with closing(label_studio.sign_in()) as admin:
            for project in {project.id for project in client.projects()} - before:
                admin.delete(f"/api/projects/{project}/")


def push(house: House, client: Mortal, target: int | None = None) -> Pushed:
    """What `pal export --to-label-studio` does."""
    return Pusher(client, LINKS).push(house.snapshot(), target)


def predicted(tasks: list[RemoteTask]) -> dict[str, tuple[str, str, float]]:
    """Sample → its one prediction: version, choice, score."""
    found = {}
    for task in tasks:
        [prediction] = task.predictions
        [choice] = prediction.choices
        found[task.raw["meta"]["pal"]["sample"]] = (prediction.model_version, choice, prediction.score or 0.0)
    return found


def test_a_project_is_made_and_brought_up_to_date(house: House, client: Mortal) -> None:
    """A task for each sample, the group as its choice, the confidence as its score; again, nothing is doubled: new beliefs
    take the place of old ones, a group that got its name gets a choice more, new links are put in.
    """
    first = push(house, client)
    assert (first.made, first.tasks, first.predictions, first.unknown) == (True, N, N, {})
    tasks = list(client.tasks(first.project))
    snapshot = house.snapshot()
    assert snapshot.posterior is not None and snapshot.grouping is not None
    best, probability = snapshot.posterior.assignment()
    groups = dict(zip(snapshot.posterior.sample_ids, best.tolist(), strict=True))
    found = predicted(tasks)
    assert {sample: score for sample, (_, _, score) in found.items()} == pytest.approx(
        dict(zip(snapshot.posterior.sample_ids, probability.tolist(), strict=True)), abs=1e-4
    )
    assert {version for version, _, _ in found.values()} == {"digits-v0000-r1"}
    labels = {groups[sample]: label for sample, (_, label, _) in found.items()}
    assert all(found[sample][1] == labels[group] for sample, group in groups.items())
    assert sorted(labels.values()) == [f"group {n}" for n in range(1, len(labels) + 1)]
    assert tasks[0].raw["data"]["image"] == LINKS.url("digits", tasks[0].raw["meta"]["pal"]["sample"])
    remote = client.project(first.project)
    assert (remote.model_version, remote.sampling) == ("digits-v0000-r1", "Uncertainty sampling")

    again = push(house, client)
    assert (again.project, again.made, again.tasks, again.predictions, again.unchanged) == (
        first.project,
        False,
        0,
        0,
        N,
    )

    house.stores.names("digits").give(snapshot.grouping.sized[0].id, "zeros & <more>", 1.0, snapshot.grouping)
    named = push(house, client)
    assert named.predictions == snapshot.grouping.sized[0].size and named.unchanged == N - named.predictions
    house.give(said(house, 30, start=500))
    third = Pusher(client, MediaLinks("11" * 32, LINKS.base_url)).push(house.snapshot(), None)
    assert (third.tasks, third.predictions, third.links) == (0, N, N)
    found = predicted(list(client.tasks(first.project)))
    assert len(found) == N and {version for version, _, _ in found.values()} == {"digits-v0000-r2"}
    assert "zeros & <more>" in {label for _, label, _ in found.values()}
    assert client.project(first.project).model_version == "digits-v0000-r2"
    kept = set(read_classes(client.project(first.project).label_config).labels)
    assert kept >= {"zeros & <more>", *(f"group {n}" for n in range(1, len(labels) + 1))}
    made = house.stores.exports("digits").all()["label-studio"]
    assert made.url == f"{client.url}/projects/{first.project}/data" and made.label == "v0000-r2"


def test_a_killed_push_is_done_again_without_doubling_anything(
    house: House, client: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after a chunk of tasks came to stand: the next run makes the others."""
    monkeypatch.setattr("pal_backend.exports.pushing.IMPORT_CHUNK", 10)
    client.dies = Killed
    with pytest.raises(Killed):
        push(house, client)
    client.dies = None
    house.stores.redis.delete("pal:digits:errand:push")  # its time to live is over
    done = push(house, client)
    assert (done.made, done.tasks, done.unchanged) == (False, N - 10, 10)
    assert len(predicted(list(client.tasks(done.project)))) == N
    assert sum(marker("digits") in project.description for project in client.projects()) == 1


def test_a_team_s_own_project_keeps_what_is_its_own(house: House, client: Mortal) -> None:
    """Its tasks are known again by the picture's address, groups that it has no choice for are told, and neither its other
    predictions nor the version that it shows are changed.
    """
    sample = house.snapshot().samples[0].id
    theirs = client.create_project(
        "species", "", classes_config(["group 1", "nothing of ours"]).replace("$image", "$photo")
    )
    mine = {"result": [], "score": 0.5, "model_version": "their-model"}
    [task] = client.import_tasks(theirs.id, [{"data": {"photo": LINKS.url("digits", sample)}, "predictions": [mine]}])
    client.patch_project(theirs.id, model_version="their-model")
    done = push(house, client, theirs.id)
    assert sum(done.unknown.values()) + done.predictions == N and "group 2" in done.unknown
    assert not any(label == "group 1" for label in done.unknown)
    assert done.notes and "their-model" in done.notes[0]
    assert client.project(theirs.id).model_version == "their-model"
    tasks = {found.id: found for found in client.tasks(theirs.id)}
    assert sum(found.raw["data"]["photo"] == LINKS.url("digits", sample) for found in tasks.values()) == 1
    assert "their-model" in {p.model_version for p in tasks[task].predictions}
    assert read_classes(client.project(theirs.id).label_config).labels == ("group 1", "nothing of ours")
    house.give(said(house, 30, start=500))
    push(house, client, theirs.id)
    versions = {p.model_version for found in client.tasks(theirs.id) for p in found.predictions}
    assert versions == {"their-model", "digits-v0000-r2"}


def test_projects_that_have_no_place_for_a_class_are_refused(house: House, client: Mortal) -> None:
    """The message says what was found; nothing is written there."""
    desk = client.create_project("desk", "[pal digits/pairs]", pair_config())
    with pytest.raises(InputError, match="is a desk where PAL asks"):
        push(house, client, desk.id)
    other = client.create_project("groups", marker("finches"), classes_config(["group 1"]))
    with pytest.raises(InputError, match="for the groups of finches"):
        push(house, client, other.id)
    text = client.create_project(
        "text", "", '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'
    )
    with pytest.raises(InputError, match="<Choices name='c'>, none of which is one"):
        push(house, client, text.id)
    with pytest.raises(NotFoundError):
        push(house, client, 999_999)
    assert list(client.tasks(desk.id)) == list(client.tasks(text.id)) == []
