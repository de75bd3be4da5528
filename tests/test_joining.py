"""`pal init` against a real Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from label_config.render import pair_config
from pal_backend.core.vocabulary import AnnotationKey, Question, QuestionKind
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.errors import AccessError, ConfigError, ConflictError, NotFoundError, UnavailableError
from pal_backend.joining import ACTIONS, Joined, Joiner, Wanted
from pal_backend.label_studio import BasicAuth, LabelStudio
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from tests.label_studio_server import LabelStudioServer, RecordingBackend

pytestmark = pytest.mark.e2e

PAIRS = Wanted("pairs", QuestionKind.PAIR)
SECRETS = Credentials(
    basic_auth_user="pal", basic_auth_password="backend-password", webhook_secret="hook-secret", media_key="00" * 32
)


@pytest.fixture
def client(label_studio: LabelStudioServer) -> Iterator[LabelStudio]:
    """A client with a personal access token; its projects are deleted afterwards."""
    with closing(LabelStudio(label_studio.url, label_studio.pat)) as client:
        before = {project.id for project in client.projects()}
        yield client
        with closing(label_studio.sign_in()) as admin:
            for project in client.projects():
                if project.id not in before:
                    admin.delete(f"/api/projects/{project.id}/")


@pytest.fixture
def backend() -> Iterator[RecordingBackend]:
    """The web process, as far as Label Studio sees it."""
    with closing(RecordingBackend()) as backend:
        yield backend


@pytest.fixture
def joiner(stores: Stores, settings: Settings, client: LabelStudio, backend: RecordingBackend) -> Joiner:
    """What joins desks."""
    return Joiner(stores, client, replace(settings, backend_url=backend.url), SECRETS)


@pytest.fixture
def project(stores: Stores) -> Project:
    """A project without desks."""
    project = Project("digits", "/pool", ())
    stores.projects.save(project)
    return project


def assert_right(client: LabelStudio, backend: RecordingBackend, joined: Joined, *, prelabel: bool = False) -> None:
    """Everything that joins the desk to us is as it should be, and there once."""
    name, number = joined.desk.name, joined.desk.project_id
    remote = client.project(number)
    assert (remote.sampling, remote.show_predictions, remote.predicts_by_itself) == (
        "Uncertainty sampling",
        prelabel,
        False,
    )
    (found,) = client.backends(number)
    assert (found.url, found.connected, found.basic_auth) == (f"{backend.url}/p/digits/{name}", True, True)
    (hook,) = client.webhooks(number)
    assert (hook.url, hook.active, hook.payload) == (f"{backend.url}/p/digits/{name}/webhook", True, True)
    assert hook.headers == {WEBHOOK_HEADER: "hook-secret"}
    assert set(hook.actions) == set(ACTIONS)
    assert (joined.desk.backend_id, joined.desk.webhook_id) == (found.id, hook.id)


@pytest.mark.parametrize("kind", list(QuestionKind))
@pytest.mark.parametrize("prelabel", [False, True])
def test_creates_a_desk_of_each_kind(
    joiner: Joiner, project: Project, client: LabelStudio, backend: RecordingBackend, kind: QuestionKind, prelabel: bool
) -> None:
    """A new desk has a validated config, our sampling, one backend with basic auth and one webhook with the secret."""
    joined = joiner.join(project, Wanted("desk", kind, prelabel=prelabel))
    assert joined.created
    assert_right(client, backend, joined, prelabel=prelabel)
    assert joiner.stores.projects.get("digits").desk("desk") == joined.desk
    client.check_config(client.project(joined.desk.project_id).label_config)


def test_again_changes_nothing(
    joiner: Joiner, project: Project, client: LabelStudio, backend: RecordingBackend
) -> None:
    """Joining a desk that is right makes no change and no second project."""
    first = joiner.join(project, PAIRS)
    again = joiner.join(first.project, PAIRS)
    assert (again.created, again.changes, again.desk) == (False, (), first.desk)
    assert_right(client, backend, again)


def test_the_web_process_is_asked_under_the_desks_address(
    joiner: Joiner, project: Project, backend: RecordingBackend
) -> None:
    """Label Studio calls health and setup below /p/<project>/<desk> when the desk is in the store already."""
    seen: list[Desk] = []
    answer = backend.answer

    def look(path: str, authorization: str, body: object) -> tuple[int, object]:
        seen.append(joiner.stores.projects.get("digits").desk("pairs"))
        return answer(path, authorization, body)

    backend.answer = look  # type: ignore[method-assign]
    joined = joiner.join(project, PAIRS)
    assert seen and all(desk.project_id == joined.desk.project_id for desk in seen)
    assert {heard.path for heard in backend.heard} >= {"/p/digits/pairs/health", "/p/digits/pairs/setup"}


def test_mends_what_is_wrong(joiner: Joiner, project: Project, client: LabelStudio, backend: RecordingBackend) -> None:
    """Sampling, predictions shown, the webhook's secret, a second webhook, the backend's address: all are put right."""
    first = joiner.join(project, PAIRS)
    number = first.desk.project_id
    client.patch_project(number, sampling="Sequential sampling", show_collab_predictions=True)
    client.patch_webhook(first.desk.webhook_id, f"{backend.url}/p/digits/pairs/webhook", {}, ["TASKS_DELETED"])
    client.create_webhook(number, "http://127.0.0.1:9/p/digits/pairs/webhook", {}, ["TASKS_DELETED"])
    (found,) = client.backends(number)
    client.patch_backend(found, f"{backend.url}/elsewhere/p/digits/pairs", "old", BasicAuth("pal", "backend-password"))
    again = joiner.join(first.project, PAIRS)
    assert len(again.changes) == 4
    assert_right(client, backend, again)
    assert joiner.join(again.project, PAIRS).changes == ()


def test_new_secrets_reach_label_studio(
    joiner: Joiner, project: Project, client: LabelStudio, backend: RecordingBackend
) -> None:
    """After secrets.json was lost, the new password and the new webhook secret replace the old ones."""
    first = joiner.join(project, PAIRS)
    with closing(RecordingBackend(password="another")) as changed:
        settings = replace(joiner.settings, backend_url=changed.url)
        secrets = replace(SECRETS, basic_auth_password="another", webhook_secret="new-secret")
        again = replace(joiner, settings=settings, credentials=secrets).join(first.project, PAIRS)
        (found,) = client.backends(first.desk.project_id)
        (hook,) = client.webhooks(first.desk.project_id)
    assert found.connected
    assert hook.headers == {WEBHOOK_HEADER: "new-secret"}
    assert again.desk == first.desk


def test_model_version_survives_switching_predictions_off(
    joiner: Joiner, project: Project, client: LabelStudio
) -> None:
    """Label Studio empties model_version when show_collab_predictions is switched off; it is set again after it."""
    shown = joiner.join(project, replace(PAIRS, prelabel=True))
    number = shown.desk.project_id
    data = {"left": "http://127.0.0.1/a.png", "right": "http://127.0.0.1/b.png"}
    client.import_tasks(
        number, [{"data": data, "predictions": [{"result": [], "score": 0.1, "model_version": "v0001"}]}]
    )
    client.patch_project(number, model_version="v0001")
    joiner.join(shown.project, PAIRS)
    remote = client.project(number)
    assert (remote.show_predictions, remote.model_version) == (False, "v0001")


@pytest.mark.parametrize("described", [True, False])
def test_a_desk_is_found_again_when_our_state_is_lost(
    joiner: Joiner, project: Project, client: LabelStudio, described: bool
) -> None:
    """Without .pal/ the desk is known by the line in the description, or by its backend's address if that line is gone."""
    first = joiner.join(project, PAIRS)
    if not described:
        client.patch_project(first.desk.project_id, description="ours")
    again = joiner.join(project, PAIRS)
    assert not again.created
    assert again.desk == first.desk
    assert "[pal digits/pairs]" in client.project(first.desk.project_id).description


def test_a_desk_whose_label_studio_is_lost_is_retired(
    joiner: Joiner, project: Project, client: LabelStudio, label_studio: LabelStudioServer, stores: Stores
) -> None:
    """When its project is gone, the desk is retired with its answers, its open questions end, and pairs-2 takes over."""
    first = joiner.join(project, PAIRS)
    questions, answers = stores.questions("digits"), stores.answers("digits")
    question = Question(QuestionKind.PAIR, "a" * 16, ("b" * 16,))
    questions.journal(question, "pairs", 0.0)
    answers.hold([AnnotationKey("pairs", 1)], "gone")
    with closing(label_studio.sign_in()) as admin:
        admin.delete(f"/api/projects/{first.desk.project_id}/")
    second = joiner.join(first.project, PAIRS)
    third = joiner.join(second.project, PAIRS)
    assert [(desk.name, desk.retired) for desk in second.project.desks] == [("pairs", True), ("pairs-2", False)]
    assert (second.created, third.created, third.desk) == (True, False, second.desk)
    assert questions.open() == [] and answers.held() is None


def test_an_id_that_now_names_a_strangers_project_is_not_taken(
    joiner: Joiner, project: Project, client: LabelStudio
) -> None:
    """A recorded project without our mark and our backend counts as gone: Label Studio's ids start anew."""
    stranger = client.create_project("theirs", "", pair_config())
    recorded = replace(project, desks=(Desk("pairs", QuestionKind.PAIR, stranger.id, 1, 1),))
    joined = joiner.join(recorded, PAIRS)
    assert joined.desk.name == "pairs-2" and joined.desk.project_id != stranger.id
    assert client.backends(stranger.id) == []


def test_adopts_a_project_of_the_team(
    joiner: Joiner, project: Project, client: LabelStudio, backend: RecordingBackend, stores: Stores
) -> None:
    """A project with one of our configs keeps its title and config; a backend at the bare URL becomes the desk's."""
    theirs = client.create_project("Our cats", "Cats we found", pair_config("One cat?"))
    client.connect_backend(theirs.id, backend.url, "by hand", BasicAuth("pal", "backend-password"))
    stores.projects.note_pending(f"{theirs.id}.1795296157", "host")
    joined = joiner.join(project, replace(PAIRS, adopt=theirs.id))
    assert_right(client, backend, joined)
    remote = client.project(theirs.id)
    assert (remote.title, remote.label_config) == ("Our cats", theirs.label_config)
    assert remote.description.startswith("Cats we found\n")
    assert stores.projects.pending() == []


def test_refuses_what_it_cannot_adopt(joiner: Joiner, project: Project, client: LabelStudio) -> None:
    """Another config, another desk's project and a missing project are each refused with what to do."""
    other = client.create_project("text", "", '<View><Text name="t" value="$t"/></View>')
    with pytest.raises(ConfigError, match=r'there is no <Choices name="answer">.*paste ours'):
        joiner.join(project, replace(PAIRS, adopt=other.id))
    taken = client.create_project("taken", "[pal birds/pairs]", pair_config())
    with pytest.raises(ConflictError, match="desk pairs of project birds"):
        joiner.join(project, replace(PAIRS, adopt=taken.id))
    with pytest.raises(NotFoundError):
        joiner.join(project, replace(PAIRS, adopt=10**6))
    assert joiner.stores.projects.get("digits").desks == ()


def test_says_what_to_do_when_the_web_process_is_down(joiner: Joiner, project: Project, client: LabelStudio) -> None:
    """A web process that does not run, or has another password, gives one error that names it; the next run finishes."""
    down = replace(joiner, settings=replace(joiner.settings, backend_url="http://127.0.0.1:9"))
    with pytest.raises(UnavailableError, match=r"pal serve.*PAL_BACKEND_URL"):
        down.join(project, PAIRS)
    wrong = replace(joiner, credentials=replace(SECRETS, basic_auth_password="wrong"))
    with pytest.raises(UnavailableError, match="pal serve"):
        wrong.join(joiner.stores.projects.get("digits"), PAIRS)
    joined = joiner.join(joiner.stores.projects.get("digits"), PAIRS)
    assert len(list(client.projects())) >= 1 and not joined.created and joined.desk.backend_id


def test_names_the_setting_when_label_studio_refuses_the_address(joiner: Joiner, project: Project) -> None:
    """Label Studio's SSRF rules are named with the one setting that lets it talk to us and to nothing else."""
    blocked = replace(joiner, settings=replace(joiner.settings, backend_url="http://10.1.2.3:9090"))
    with pytest.raises(ConfigError, match="USE_DEFAULT_BANNED_SUBNETS=false USER_ADDITIONAL_BANNED_SUBNETS=") as raised:
        blocked.join(project, PAIRS)
    advised = str(raised.value).partition("USER_ADDITIONAL_BANNED_SUBNETS=")[2].split()[0].split(",")
    assert "10.0.0.0/8" not in advised and "169.254.0.0/16" in advised


def test_a_wrong_token_changes_nothing(joiner: Joiner, project: Project, label_studio: LabelStudioServer) -> None:
    """A token that Label Studio refuses is an AccessError, and nothing is retired or saved because of it."""
    with closing(LabelStudio(label_studio.url, "0" * 40)) as stranger, pytest.raises(AccessError):
        replace(joiner, label_studio=stranger).join(project, PAIRS)
    assert joiner.stores.projects.get("digits").desks == ()
