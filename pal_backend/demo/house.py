"""All the demo's processes: Redis, Label Studio, web and worker on 127.0.0.1, each waited for until it answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from pal_backend.credentials import Credentials
from pal_backend.demo import account, label_studio_process
from pal_backend.demo.home import Options
from pal_backend.demo.processes import Child, Program, Supervisor
from pal_backend.demo.reporter import Reporter, Step
from pal_backend.errors import UnavailableError
from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings, child_environment, process_environment

POLL_SECONDS = 0.2
REDIS_SECONDS = 20
WEB_SECONDS = 60
LABEL_STUDIO_SECONDS = 600
"""Its first start takes a minute on a busy machine; ten mean that it never will."""


@dataclass(frozen=True)
class LabelStudioStart:
    """Label Studio on its way up."""

    child: Child
    command: str
    environment: Mapping[str, str] = field(repr=False)
    first: bool
    """Whether it has to make its database."""


@dataclass
class House:
    """Starts the processes one by one; the supervisor stops them in the opposite order."""

    options: Options
    settings: Settings
    supervisor: Supervisor
    reporter: Reporter

    def start_redis(self) -> None:
        """Start Redis with its append-only file."""
        with self.reporter.step("Redis") as step:
            folder = self.settings.home / "redis"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            command = RedisServer(folder, self.options.redis_port).command()
            child = self.supervisor.start(Program("Redis", command, process_environment(), grace=20))
            self._wait(step, child, REDIS_SECONDS, self._redis_answers)

    def start_label_studio(self, credentials: Credentials) -> LabelStudioStart:
        """Start Label Studio; :meth:`wait_for_label_studio` waits until it answers."""
        first = not (self.settings.home / label_studio_process.FOLDER / label_studio_process.DATABASE).exists()
        command = label_studio_process.find_command(self.options.label_studio)
        environment = label_studio_process.environment(
            process_environment(), self.settings.home, credentials.demo_password, credentials.label_studio_token
        )
        program = label_studio_process.program(command, self.options.label_studio_port, environment)
        return LabelStudioStart(self.supervisor.start(program), command, environment, first)

    def wait_for_label_studio(self, start: LabelStudioStart, credentials: Credentials) -> Credentials:
        """Wait until it answers, and sign in.

        Returns:
            Credentials that Label Studio takes.
        """
        title = "Label Studio (its first start makes a database, about a minute)" if start.first else "Label Studio"
        with self.local_client(self.settings.label_studio_url) as client:
            with self.reporter.step(title) as step:
                self._wait(
                    step,
                    start.child,
                    LABEL_STUDIO_SECONDS,
                    lambda: label_studio_process.is_up(client, start.child, self.options.label_studio_port),
                    lambda: label_studio_process.what_it_does(self.settings.home),
                )
            with self.reporter.step("account in Label Studio") as step:

                def win_back() -> None:
                    step.say("its password is not known any more: setting a new one")
                    account.reset_password(start.command, start.environment, credentials.demo_password)

                return account.sign_in(client, self.settings, credentials, win_back)

    def start_worker(self) -> None:
        """Start the worker; it loads its libraries on its own time."""
        # Its jobs end at their next safe point; a training takes longest to get there.
        self._start_ours("worker", [sys.executable, "-m", "worker"], grace=25)

    def start_web(self) -> None:
        """Start the web process and wait until it answers."""
        with self.reporter.step("web") as step, self.local_client(self.settings.backend) as client:
            child = self._start_ours("web", [sys.executable, "-m", "pal_backend.cli", "serve"], grace=10)
            self._wait(step, child, WEB_SECONDS, lambda: _answers(client, "/health"))

    def local_client(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
        """A client for one of our servers; proxies are for the world outside."""
        return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def _start_ours(self, name: str, command: list[str], grace: float) -> Child:
        environment = child_environment(self.settings, PYTHONUNBUFFERED="1")
        return self.supervisor.start(Program(name, command, environment, grace))

    def _redis_answers(self) -> bool:
        from pal_backend.store.connection import connect

        try:
            return bool(connect(self.settings.redis_url).ping())
        except UnavailableError:  # not yet, or still reading its append-only file
            return False

    def _wait(
        self,
        step: Step,
        child: Child,
        seconds: float,
        ready: Callable[[], bool],
        detail: Callable[[], str] = str,
    ) -> None:
        """Until ``ready``.

        Raises:
            UnavailableError: a process ended, or time is up; says what to look at.
        """
        while not ready():
            self.supervisor.check()
            if step.seconds > seconds:
                raise UnavailableError(
                    f"{child.program.name} does not answer after {seconds:.0f} s; the end of {child.log_file}:\n{child.tail()}"
                )
            step.say(detail())
            time.sleep(POLL_SECONDS)


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
