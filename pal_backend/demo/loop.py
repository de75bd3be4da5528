"""`pal demo`: the whole loop on one machine, from an empty folder to the first question, until somebody stops it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.table import Table

from pal_backend import joining, samples
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
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores

FIRST_QUESTION_SECONDS = 300.0
POLL_SECONDS = 0.2
WATCH_SECONDS = 1.0


def run(options: Options, given: Settings, reporter: Reporter) -> dict[str, Any] | None:
    """Start everything, keep it running, stop everything.

    Returns:
        With ``options.answers`` the result of the simulated annotator's work; None when a person stopped the demo.

    Raises:
        Interrupted: stopped before the simulated annotator was done.
        ConflictError: a port is taken, or another demo runs on the same folder.
        UnavailableError: a process ended or did not become ready; the message shows the end of its log.
    """
    settings = options.settings(given)
    with interruptible() as interruption, only_one(settings.home):
        check_ports(options.ports)
        _check_images(options)
        supervisor = Supervisor(settings.home / LOGS)
        try:
            return Demo(options, settings, supervisor, reporter).run()
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

    def __init__(self, options: Options, settings: Settings, supervisor: Supervisor, reporter: Reporter) -> None:
        self._options = options
        self._settings = settings
        self._supervisor = supervisor
        self._reporter = reporter
        self._house = House(options, settings, supervisor, reporter)

    def run(self) -> dict[str, Any] | None:
        """From nothing to the last answer; without a simulated annotator until interrupted."""
        started = time.monotonic()
        credentials = account.prepare(self._settings)
        self._house.start_redis()
        credentials = self._house.start_label_studio(credentials, meanwhile=self._make_pool)
        self._house.start_web()
        project = self._join(credentials)
        self._house.start_worker()
        desk = next(desk for desk in project.desks if not desk.retired)
        stores = Stores.open(self._settings)
        self._wait_for_question(stores, desk)
        self._reporter.line(f"✓ the first question stands in Label Studio after {time.monotonic() - started:.0f} s", "green")
        self._reporter.console.print(self._panel(desk, credentials))
        if self._options.answers:
            return self._examine(stores, project, desk, credentials)
        self._watch(stores)
        return None

    def _make_pool(self) -> None:
        if self._options.images is not None:
            return
        with self._reporter.step("1,797 handwritten digits as PNG files") as step:
            labels = self._settings.home / DIGITS_LABELS
            samples.write_digits(self._options.pool, labels, lambda done, of: step.say(f"{done} of {of}"))

    def _join(self, credentials: Credentials) -> Project:
        raise NotImplementedError

    def _wait_for_question(self, stores: Stores, desk: Desk) -> None:
        started = time.monotonic()
        with self._reporter.step("the first question") as step:
            while not any(question.task is not None for question in stores.questions(PROJECT).open(desk.name)):
                self._supervisor.check()
                if time.monotonic() - started > FIRST_QUESTION_SECONDS:
                    raise UnavailableError(
                        f"no question was posted in {FIRST_QUESTION_SECONDS:.0f} s; see {self._settings.home / LOGS / 'worker.log'}"
                    )
                step.say("the worker loads its libraries, looks at the images and posts it")
                time.sleep(POLL_SECONDS)

    def _panel(self, desk: Desk, credentials: Credentials) -> Panel:
        table = Table.grid(padding=(0, 2))
        rows: Mapping[str, object] = {
            "label here": f"{self._settings.label_studio_url}/projects/{desk.project_id}/data?labeling=1",
            "login": label_studio_process.EMAIL,
            "password": credentials.demo_password,
            "logs": self._settings.home / LOGS,
            "to stop": "Ctrl-C; the next run goes on where this one stopped",
        }
        for name, value in rows.items():
            table.add_row(name, str(value))
        return Panel(table, title="PAL for Label Studio", border_style="green", expand=False)

    def _examine(self, stores: Stores, project: Project, desk: Desk, credentials: Credentials) -> dict[str, Any]:
        pool = samples.load_samples(stores.artefacts, project.name)
        if self._options.images is None:
            classes = hidden_labels.from_file(self._settings.home / DIGITS_LABELS)
        else:
            classes = hidden_labels.from_folders(path for sample in pool for path in sample.paths)
        queues = Queues(self._settings.redis_url)
        headers = {"Authorization": f"Token {credentials.label_studio_token}"}
        with self._house.local_client(self._settings.label_studio_url, headers) as client:
            labels = hidden_labels.of_samples(pool, classes)
            examination = Examination(project, stores, queues, labels, self._reporter, self._supervisor.check)
            return examination.run(Annotator(client, desk.project_id, labels), self._options.answers)

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
        hidden_labels.from_folders(_relative(options.images))


def _relative(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
