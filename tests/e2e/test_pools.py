"""Another project of a real Label Studio as a pool: uploads, cloud storage on a real S3 server, addresses, texts."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from label_config import results
from pal_backend.core.vocabulary import Medium, QuestionKind
from pal_backend.errors import InputError
from pal_backend.fetch_targets import AllowList
from pal_backend.joining import Joiner, Wanted
from pal_backend.label_studio import LabelStudio
from pal_backend.pool_index import load_quarantine, load_samples, load_texts
from pal_backend.pool_label_studio import LabelStudioPool
from pal_backend.pool_sources import Sources, read_pool
from pal_backend.resolver import Resolver
from pal_backend.samples import ingest
from pal_backend.settings import Settings
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.projects import Desk, Project
from tests.e2e.stack import Stack
from tests.label_studio_server import LabelStudioServer
from tests.web_side import png, sample_id

pytestmark = pytest.mark.e2e

SHOWS = '<View><Image name="one" value="$picture"/><Choices name="c" toName="one"><Choice value="a"/></Choices></View>'
READS = '<View><Text name="one" value="$said"/><Choices name="c" toName="one"><Choice value="a"/></Choices></View>'


@pytest.fixture
def client(label_studio: LabelStudioServer) -> LabelStudio:
    """As the worker talks to it, with a personal access token."""
    return LabelStudio(label_studio.url, label_studio.pat)


@pytest.fixture
def sources(label_studio: LabelStudioServer, client: LabelStudio) -> Sources:
    """Pools as a worker opens them."""
    return Sources(Settings(label_studio_url=label_studio.url), lambda: client)


@pytest.fixture
def team(label_studio: LabelStudioServer) -> Iterator[httpx.Client]:
    """Somebody of the team, who put samples there."""
    headers = {"Authorization": f"Token {label_studio.legacy_token}"}
    with httpx.Client(base_url=label_studio.url, headers=headers, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[str, Any]]:
    """A bucket on a real S3 server: its endpoint, and a way in."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    place = {"client_kwargs": {"region_name": "eu-central-1"}, "skip_instance_cache": True}
    store = s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=endpoint, **place)
    store.mkdir("photos")
    yield endpoint, store
    running.stop()


def test_uploads_addresses_and_what_is_neither(
    sources: Sources, client: LabelStudio, team: httpx.Client, tmp_path: Path
) -> None:
    """Uploads are fetched with our token; hosts that are not allowed, and fields that are missing, are set aside."""
    project = client.create_project("samples", "", SHOWS).id
    for shade in (1, 2):
        files = {"file": (f"{shade}.png", png(shade), "image/png")}
        team.post(f"/api/projects/{project}/import", files=files).raise_for_status()
    upload = next(iter(client.tasks(project))).raw["data"]["picture"]
    assert upload.startswith("/data/upload/")
    more = [
        {"picture": upload},
        {"picture": "http://169.254.169.254/latest/meta-data/"},
        {"picture": "/api/projects"},
        {"picture": "/data/upload/1/gone.png"},
    ]
    client.import_tasks(project, [{"data": data} for data in more])
    artefacts = Artefacts(str(tmp_path))
    report = ingest(sources.open(read_pool(f"label-studio:{project}")), artefacts, "p", 8)
    assert (report.samples, report.duplicates, report.quarantined) == (2, 1, 3)
    samples = load_samples(artefacts, "p")
    assert {sample.id for sample in samples} == {sample_id(png(1)), sample_id(png(2))}
    tasks = [task.id for task in client.tasks(project)]
    assert sorted(path for sample in samples for path in sample.paths) == sorted(f"task-{tasks[n]}" for n in (0, 1, 2))
    reasons = {one.path: one.reason for one in load_quarantine(artefacts, "p")}
    assert "169.254.169.254 is not allowed" in reasons[f"task-{tasks[3]}"]
    assert "no image" in reasons[f"task-{tasks[4]}"]
    again = ingest(sources.open(f"label-studio:{project}"), artefacts, "p", 8)
    assert (again.new, again.missing) == (0, 0)


def test_storage_is_reached_by_the_address_that_label_studio_signs(
    sources: Sources, client: LabelStudio, team: httpx.Client, bucket: tuple[str, Any], tmp_path: Path
) -> None:
    """Label Studio sends on to its storage, whose host must be allowed; the token stays behind."""
    endpoint, store = bucket
    store.pipe_file("photos/in/a.png", png(11))
    project = client.create_project("stored samples", "", SHOWS).id
    storage = {
        **{"project": project, "bucket": "photos", "prefix": "in", "use_blob_urls": True, "presign": True},
        **{
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            "s3_endpoint": endpoint,
            "region_name": "eu-central-1",
        },
    }
    made = team.post("/api/storages/s3", json=storage)
    made.raise_for_status()
    team.post(f"/api/storages/s3/{made.json()['id']}/sync").raise_for_status()
    (task,) = client.tasks(project)
    assert task.raw["data"]["picture"] == "s3://photos/in/a.png"
    pool = sources.open(f"label-studio:{project}")
    assert isinstance(pool, LabelStudioPool)
    list(pool.entries())
    with pytest.raises(InputError, match=r"127\.0\.0\.1:.* is not allowed"):
        pool.read(f"task-{task.id}")
    resolver = pool.fetcher
    assert isinstance(resolver, Resolver)
    listed = replace(resolver, allowed=AllowList.parse(urlsplit(endpoint).netloc))
    with pytest.raises(InputError, match="not on the public internet"):
        replace(pool, fetcher=listed).read(f"task-{task.id}")
    # As if the storage were on the internet; there is none here.
    outside = replace(listed, public=lambda address: address == ipaddress.ip_address("127.0.0.1"))
    report = ingest(replace(pool, fetcher=outside), Artefacts(str(tmp_path)), "p", 8)
    assert (report.samples, report.quarantined) == (1, 0)
    assert load_samples(Artefacts(str(tmp_path)), "p")[0].id == sample_id(png(11))


def test_texts_of_another_project(sources: Sources, client: LabelStudio, tmp_path: Path) -> None:
    """They stand in the tasks; which field is shown is told by the labelling config, or by a person."""
    project = client.create_project("texts", "", READS).id
    client.import_tasks(
        project, [{"data": {"said": "One", "title": "Eins"}}, {"data": {"said": "Two", "title": "Zwei"}}]
    )
    for address, texts in (
        (f"label-studio:{project}", ["One", "Two"]),
        (f"label-studio:{project}:title", ["Eins", "Zwei"]),
    ):
        artefacts = Artefacts(str(tmp_path / address))
        ingest(sources.open(address, Medium.TEXT), artefacts, "p", 8, medium=Medium.TEXT)
        assert load_texts(artefacts, "p") == texts
    with pytest.raises(InputError, match="shows no <Image>; expected one; say which with"):
        list(sources.open(f"label-studio:{project}").entries())
    desk = client.create_project("a desk", "[pal birds/pairs]", READS).id
    with pytest.raises(InputError, match="a desk where PAL asks"):
        list(sources.open(f"label-studio:{desk}", Medium.TEXT).entries())


TOPICS = {
    "sea": "The boat left the harbour at dawn and the waves rose with wind {} against the pier",
    "bread": "Knead the dough, let the yeast rest, and bake the loaf for {} minutes in a hot oven",
    "chess": "White moves the bishop, black castles, and move {} decides the endgame of the match",
}


def test_texts_are_asked_about_and_the_answers_learned(stack: Stack, team: httpx.Client) -> None:
    """From the manifest to a revision: the texts stand in the tasks of both kinds of desk, and in no link."""
    name = "news"
    texts = [text.format(number) for number in range(12) for text in TOPICS.values()]
    manifest = stack.settings.home / "texts.jsonl"
    manifest.write_text("".join(json.dumps({"text": f"{text} <b>&</b>"}) + "\n" for text in texts))
    project = Project(name=name, pool=read_pool(str(manifest), Medium.TEXT), desks=(), medium=Medium.TEXT)
    joiner = Joiner(stack.stores, stack.client, stack.settings, stack.credentials)
    pairs = joiner.join(project, Wanted("pairs", QuestionKind.PAIR)).desk
    screens = joiner.join(stack.stores.projects.get(name), Wanted("screens", QuestionKind.SCREEN)).desk
    stack.queues.ingest(name)

    def waiting(desk: Desk) -> list[Any]:
        return list(stack.client.tasks(desk.project_id, unlabelled=True))

    found = {desk.name: stack.until(partial(waiting, desk), f"{desk.name} has tasks") for desk in (pairs, screens)}
    data = found["pairs"][0].raw["data"]
    assert data["left"].endswith("<b>&</b>") and data["right"].endswith("<b>&</b>")
    shown = found["screens"][0].raw["data"]["candidates"][0]["html"]
    assert shown.startswith("<p>") and "&lt;b&gt;&amp;&lt;/b&gt;" in shown
    task = found["pairs"][0]
    same = {text.split()[1] for text in (data["left"], data["right"])}
    label = results.SAME if len(same) == 1 else results.DIFFERENT
    body = {"result": results.pair_result(label), "lead_time": 2.5}
    team.post(f"/api/tasks/{task.id}/annotations", json=body).raise_for_status()

    def folded() -> bool:
        revision = stack.stores.revisions(name).current()
        return revision is not None and revision.answers == 1

    stack.until(folded, "the answer is in a revision")


def test_the_header_opens_label_studio_for_either_token(label_studio: LabelStudioServer) -> None:
    """A personal token is exchanged; it is never sent itself."""
    legacy = LabelStudio(label_studio.url, label_studio.legacy_token).authorization()
    assert legacy == f"Token {label_studio.legacy_token}"
    exchanged = LabelStudio(label_studio.url, label_studio.pat).authorization()
    assert exchanged.startswith("Bearer ")
    assert label_studio.pat not in exchanged
    claims = exchanged.split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["token_type"] == "access"
