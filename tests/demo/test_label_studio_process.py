"""How the demo runs Label Studio."""

import ipaddress
import sqlite3
from pathlib import Path

import pytest

from pal_backend.demo import label_studio_process as process
from pal_backend.errors import ConfigError
from pal_backend.label_studio_values import DRAFTS_FLAG


def banned(address: str) -> bool:
    """Whether Label Studio would refuse to call this address."""
    ip = ipaddress.ip_address(address)
    networks = map(ipaddress.ip_network, process.BANNED_SUBNETS.split(","))
    return any(ip in network for network in networks)


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "169.254.169.254", "172.16.0.1", "192.168.1.1", "0.0.0.0", "::1", "fd00::1", "::ffff:7f00:1"],
)
def test_private_addresses_stay_banned(address: str) -> None:
    """Only 127.0.0.0/8 is let through, not the whole list."""
    assert banned(address)


def test_this_machine_is_allowed() -> None:
    """The web process is on 127.0.0.1, and the public internet is as allowed as it was."""
    assert not banned("127.0.0.1")
    assert not banned("93.184.216.34")


def test_environment_is_small_and_quiet(tmp_path: Path) -> None:
    """Label Studio gives a meaning to CI, DEBUG and PORT, so none of ours reaches it; nothing is sent to its makers."""
    ours = {"PATH": "/bin", "CI": "woodpecker", "DEBUG": "release", "PORT": "9090", "LABEL_STUDIO_API_KEY": "secret"}
    environment = process.environment(ours, tmp_path, "password", "token")
    assert not {"CI", "DEBUG", "PORT", "LABEL_STUDIO_API_KEY"} & environment.keys()
    assert environment["PATH"] == "/bin"
    assert environment["SENTRY_DSN"] == environment["FRONTEND_SENTRY_DSN"] == ""
    assert environment["COLLECT_ANALYTICS"] == environment["LATEST_VERSION_CHECK"] == "False"
    assert environment[DRAFTS_FLAG] == "true"
    assert environment["LABEL_STUDIO_BASE_DATA_DIR"] == str(tmp_path / "label-studio")


def test_secrets_are_not_on_the_command_line(tmp_path: Path) -> None:
    """Anybody on the machine can read command lines."""
    environment = process.environment({}, tmp_path, "pass-word", "t" * 40)
    command = process.program("label-studio", 8080, environment).command
    assert not {"pass-word", "t" * 40} & set(command)
    assert "127.0.0.1" in command


def test_missing_label_studio_is_told() -> None:
    """The message says how to get one and how to name one."""
    with pytest.raises(ConfigError, match=r"no Label Studio found .*make demo.*--label-studio COMMAND"):
        process.find_command("/nowhere/label-studio")


def test_progress_of_the_first_start(tmp_path: Path) -> None:
    """While the database is made its migrations are counted."""
    assert process.what_it_does(tmp_path) == "loading"
    folder = tmp_path / "label-studio"
    folder.mkdir()
    with sqlite3.connect(folder / "label_studio.sqlite3") as database:
        assert process.what_it_does(tmp_path) == "making its database"
        database.execute("CREATE TABLE django_migrations (id INTEGER)")
        database.execute("INSERT INTO django_migrations VALUES (1), (2)")
    assert process.what_it_does(tmp_path) == "its database has had 2 migrations"
