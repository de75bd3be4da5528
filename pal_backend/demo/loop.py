"""`pal demo`: the whole loop on one machine, from an empty folder to the first question, until somebody stops it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pal_backend import class_folders, recovery, samples, team
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.credentials import Credentials
from pal_backend.demo import account, hidden_labels, label_studio_process
from pal_backend.demo.annotator import Annotator
from pal_backend.demo.examination import Examination
from pal_backend.demo.home import DIGITS_LABELS, LOGS, PROJECT, Options, only_one
from pal_backend.demo.house import House
from pal_backend.demo.interruption import Interrupted, interruptible
from pal_backend.demo.ports import check_ports
from pal_backend.demo.processes import Supervisor
from pal_backend.demo.reporter import Reporter
from pal_backend.errors import InputError, UnavailableError
from pal_backend.joining import Joined, Joiner, Wanted
from pal_backend.label_studio import LabelStudio
from pal_backend.pool_index import load_samples
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores

DESK = Wanted("pairs", QuestionKind.PAIR, title="PAL demo: same or different?")
FIRST_QUESTION_SECONDS = 300.0
POLL_SECONDS = 0.2
WATCH_SECONDS = 1.0


def run(
    options: Options,
    given: Settings,
    reporter: Reporter,
    announce: Callable[[dict[str, str]], None] | None = None,
) -> dict[str, Any] | None:
    """Start everything, keep it running, stop everything.

    Args:
        options: what was asked for on the command line.
        given: settings of the environment; addresses and ports are the options'.
        reporter: hears of every step.
        announce: hears where to label and how to sign in, once a question stands.

    Returns:
        With ``options.answers`` the result of the simulated annotator's work; None when a person stopped the demo.

    Raises:
        Interrupted: stopped before the simulated annotator was done.
        ConflictError: a port is taken, or another demo runs on the same folder.
        UnavailableError: a process ended or did not become ready; the message shows the end of its log.
    """
    settings = options.settings(given)
    with interruptible() as interruption, only_one(settings.home):
        _check_images(options)
        check_ports(options.ports)
        supervisor = Supervisor(settings.home / LOGS)
        try:
            return Demo(options, settings, supervisor, reporter, announce).run()
        except Interrupted:
            if options.answers:
                raise
            return None
        finally:
            interruption.ignore_first()
            with reporter.step("stopped worker, web, Label Studio and Redis"):
                supervisor.stop(lambda: interruption.hurry)


class Demo:
    """One run. All its processes belong to ``supervisor``, which the caller stops."""

    def __init__(
        self,
        options: Options,
        settings: Settings,
        supervisor: Supervisor,
        reporter: Reporter,
        announce: Callable[[dict[str, str]], None] | None,
    ) -> None:
        self._options = options
        self._settings = settings
        self._supervisor = supervisor
        self._reporter = reporter
        self._announce = announce
        self._house = House(options, settings, supervisor, reporter)

    def run(self) -> dict[str, Any] | None:
        """From nothing to the last answer; without a simulated annotator until interrupted."""
        started = time.monotonic()
        credentials = account.prepare(self._settings)
        self._house.start_redis()
        stores = Stores.open(self._settings)
        project = self._project(stores)
        label_studio = self._house.start_label_studio(credentials)
        self._house.start_web()
        # A desk whose Label Studio was lost must be retired before any job compares its annotations.
        if not project.desks:
            self._house.start_worker()
        self._make_pool()
        credentials = self._house.wait_for_label_studio(label_studio, credentials)
        joined = self._join(project, stores, credentials)
        if project.desks:
            self._house.start_worker()
        self._wait_for_question(stores, joined.desk)
        self._reporter.line(
            f"✓ a question stands in Label Studio, {time.monotonic() - started:.0f} s after the start", "green"
        )
        self._show(joined.desk, credentials)
        if self._options.answers:
            return self._examine(stores, joined, credentials)
        self._watch(stores)
        return None

    def _project(self, stores: Stores) -> Project:
        """The project as it was left, or a new one.

        Raises:
            InputError: the folder holds the project of another pool.
        """
        pool = str(self._options.pool)
        if PROJECT in stores.projects.names():
            recovery.restore(PROJECT, stores)
        project = stores.projects.find(PROJECT) or Project(name=PROJECT, pool=pool, desks=())
        if project.pool != pool:
            raise InputError(
                f"{self._settings.home} groups the images of {project.pool}, not those of {pool}; "
                "choose another folder for these with --home (PAL_HOME with make)"
            )
        return project

    def _make_pool(self) -> None:
        if self._options.images is not None:
            return
        with self._reporter.step("1,797 handwritten digits as PNG files") as step:
            labels = self._settings.home / DIGITS_LABELS
            samples.write_digits(self._options.pool, labels, lambda done, of: step.say(f"{done} of {of}"))

    def _join(self, project: Project, stores: Stores, credentials: Credentials) -> Joined:
        with self._reporter.step("the desk in Label Studio") as step:
            # The first call loads Label Studio's client, which takes seconds.
            label_studio = LabelStudio(self._settings.label_studio_url, credentials.label_studio_token)
            joined = Joiner(stores, label_studio, self._settings, credentials, step.say).join(project, DESK)
        queues = Queues(self._settings.redis_url)
        queues.ingest(PROJECT)
        queues.reconcile(PROJECT, "the demo was started")
        return joined

    def _wait_for_question(self, stores: Stores, desk: Desk) -> None:
        started, began = time.monotonic(), time.time()
        queues = Queues(self._settings.redis_url)
        with self._reporter.step("the first question") as step:
            while not any(question.task is not None for question in stores.questions(PROJECT).open(desk.name)):
                self._supervisor.check()
                failed = [job for job in queues.jobs() if job.state == "failed" and (job.ended_at or 0) > began]
                log = self._settings.home / LOGS / "worker.log"
                if failed:
                    raise UnavailableError(f"the worker's job {failed[0].kind} failed: {failed[0].error}; see {log}")
                if time.monotonic() - started > FIRST_QUESTION_SECONDS:
                    raise UnavailableError(f"no question was posted in {FIRST_QUESTION_SECONDS:.0f} s; see {log}")
                step.say("the worker loads its libraries, looks at the images and posts it")
                time.sleep(POLL_SECONDS)

    def _show(self, desk: Desk, credentials: Credentials) -> None:
        team.let_in(self._settings, "lead", credentials.demo_password)
        places = {
            "label here": f"{self._settings.label_studio_url}/projects/{desk.project_id}/data",
            "watch here": f"{self._settings.public}/projects/{PROJECT}",
            "login": label_studio_process.EMAIL,
            "password": credentials.demo_password,
            "logs": str(self._settings.home / LOGS),
        }
        if self._announce is not None:
            self._announce({name.replace(" ", "_"): place for name, place in places.items()})
        table = Table.grid(padding=(0, 2))
        # A link straight into the label stream (?labeling=1) would serve tasks by number, unlocked: until the button was
        # pressed once in a browser, Label Studio 1.23.2 takes its stream for one of the table's.
        table.add_row(
            "", Text("sign in there and press Label All Tasks; the same password opens the page where one watches")
        )
        for name, place in {**places, "to stop": "Ctrl-C; the next run goes on where this one stopped"}.items():
            table.add_row(name, Text(place))
        self._reporter.console.print(Panel(table, title="PAL for Label Studio", border_style="green", expand=False))

    def _examine(self, stores: Stores, joined: Joined, credentials: Credentials) -> dict[str, Any]:
        pool = load_samples(stores.artefacts, PROJECT)
        if self._options.images is None:
            classes = hidden_labels.from_file(self._settings.home / DIGITS_LABELS)
        else:
            classes = class_folders.from_folders(path for sample in pool for path in sample.paths)
        queues = Queues(self._settings.redis_url)
        headers = {"Authorization": f"Token {credentials.label_studio_token}"}
        with self._house.local_client(self._settings.label_studio_url, headers) as client:
            labels = class_folders.of_samples(pool, classes)
            examination = Examination(joined.project, stores, queues, labels, self._reporter, self._supervisor.check)
            return examination.run(Annotator(client, joined.desk.project_id, labels), self._options.answers)

    def _watch(self, stores: Stores) -> None:
        """Show how far it has come, until interrupted or a process ends."""
        with self._reporter.standing("waiting for answers") as standing:
            while True:
                self._supervisor.check()
                revision = stores.revisions(PROJECT).current()
                if revision is not None:
                    standing.say(f"{revision.answers} answers · {revision.groups} groups · model {revision.version}")
                time.sleep(WATCH_SECONDS)


def _check_images(options: Options) -> None:
    """Before anything is started.

    Raises:
        InputError: the folder is not there, or a simulated annotator could not know the classes.
    """
    if options.images is None:
        return
    if not options.images.is_dir():
        raise InputError(f"{options.images} is not a folder; --images takes the folder that holds your images")
    if options.answers:
        class_folders.from_folders(_relative(options.images), "leave --answers away to answer yourself")


def _relative(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
