"""Label Studio as the demo runs it: its command line, its environment, and the signs that it is ready."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import httpx

from pal_backend.demo.ports import HOST
from pal_backend.demo.processes import Child, Program
from pal_backend.errors import ConfigError, ConflictError
from pal_backend.label_studio_values import DRAFTS_FLAG

NAME = "Label Studio"
EMAIL = "demo@pal.local"
DATABASE = "label_studio.sqlite3"
FOLDER = "label-studio"
"""Its data, under ``PAL_HOME``."""
ENVIRONMENT_FOLDER = Path(".venv-label-studio")
LOCK_SECONDS = 300
"""How long a task stays with the tab that opened it (Label Studio's default is a day)."""
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
"""All that Label Studio gets of our environment: it gives a meaning to names as common as CI, DEBUG, HOST and PORT."""
BANNED_SUBNETS = (
    "0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,192.0.2.0/24,192.88.99.0/24,"
    "192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,224.0.0.0/4,233.252.0.0/24,240.0.0.0/4,"
    "255.255.255.255/32,::/128,::1/128,::ffff:0:0/96,::ffff:0:0:0/96,64:ff9b::/96,64:ff9b:1::/48,100::/64,2001::/32,"
    "2001:20::/28,2001:db8::/32,2002::/16,fc00::/7,fe80::/10,ff00::/8"
)
"""Label Studio 1.23's own list (core/utils/io.py, validate_ip) without 127.0.0.0/8, where the demo's web process is."""


def find_command(given: str) -> str:
    """The ``label-studio`` to run: the one given, else that of ``.venv-label-studio``, else the one on the path.

    Raises:
        ConfigError: there is none.
    """
    beside = ENVIRONMENT_FOLDER / "bin" / "label-studio"
    for candidate in (given,) if given else (str(beside), "label-studio"):
        found = shutil.which(candidate)
        if found:
            return str(Path(found).absolute())
    raise ConfigError(
        f"no Label Studio found (looked for {given or f'{beside} and label-studio on the path'}); `make demo` installs it, "
        "or name yours with --label-studio COMMAND"
    )


def environment(ours: Mapping[str, str], home: Path, password: str, token: str) -> dict[str, str]:
    """Its environment. The account's password and token stand here and not on the command line, which others can see."""
    return {
        **{name: ours[name] for name in KEPT_VARIABLES if name in ours},
        "LABEL_STUDIO_BASE_DATA_DIR": str((home / FOLDER).absolute()),
        "LABEL_STUDIO_USERNAME": EMAIL,
        "LABEL_STUDIO_PASSWORD": password,
        "LABEL_STUDIO_USER_TOKEN": token,
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "COLLECT_ANALYTICS": "False",
        "LATEST_VERSION_CHECK": "False",
        "SENTRY_DSN": "",  # one is baked in, and COLLECT_ANALYTICS does not switch it off
        "FRONTEND_SENTRY_DSN": "",
        "TASK_LOCK_TTL": str(LOCK_SECONDS),
        DRAFTS_FLAG: "true",  # without it re-checks cannot be kept from whoever gave the answer
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": BANNED_SUBNETS,
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }


def program(command: str, port: int, env: Mapping[str, str]) -> Program:
    """How to start it: on 127.0.0.1 alone (its own default is every address)."""
    arguments = ["start", "--no-browser", "--internal-host", HOST, "--port", str(port), "--enable-legacy-api-token"]
    return Program(NAME, [command, *arguments], env, grace=10)


def is_up(client: httpx.Client, child: Child, port: int) -> bool:
    """Whether it answers on its port.

    Raises:
        ConflictError: somebody took the port after it was checked; Label Studio then moves on to the next one silently.
    """
    if f"* Port {port} is in use" in child.output():
        raise ConflictError(f"port {port} was taken while {NAME} started; choose another with --label-studio-port N")
    try:
        return bool(client.get("/health").json() == {"status": "UP"})
    except (httpx.HTTPError, ValueError):
        return False


def what_it_does(home: Path) -> str:
    """What its start is busy with, in words: the first one builds the database in several hundred steps."""
    database = home / FOLDER / DATABASE
    if not database.exists():
        return "loading"
    try:
        with closing(sqlite3.connect(f"file:{database.absolute()}?mode=ro", uri=True, timeout=0.1)) as connection:
            (steps,) = connection.execute("SELECT count(*) FROM django_migrations").fetchone()
    except sqlite3.Error:
        return "making its database"
    return f"its database has had {steps} migrations"
