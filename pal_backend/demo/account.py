"""The demo's account in Label Studio: signed in with the secrets we hold, or won back when they were lost."""

from __future__ import annotations

import logging
import secrets
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace

import httpx

from pal_backend.credentials import Credentials
from pal_backend.demo.label_studio_process import EMAIL
from pal_backend.errors import AccessError, UnavailableError
from pal_backend.settings import Settings

log = logging.getLogger(__name__)

RESET_SECONDS = 120


def prepare(settings: Settings) -> Credentials:
    """Our secrets, with a password and a token for the account that Label Studio makes at its first start."""
    Credentials.load_or_create(settings)
    kept = Credentials.kept(settings)  # without what the environment says: that is not ours to keep
    whole = replace(
        kept,
        demo_password=kept.demo_password or secrets.token_urlsafe(12),
        label_studio_token=kept.label_studio_token or secrets.token_hex(20),
    )
    if whole != kept:
        whole.save(settings)
    return Credentials.load_or_create(settings)


def sign_in(
    client: httpx.Client,
    settings: Settings,
    credentials: Credentials,
    reset_password: Callable[[], None],
    *,
    transport: httpx.BaseTransport | None = None,
) -> Credentials:
    """Credentials whose token and password Label Studio takes.

    Label Studio's data can outlive our secrets; ``reset_password`` then makes the password ours (it is called at most
    once), and the token is fetched through a session, as the web page would.

    Args:
        client: for Label Studio; its session is signed in afterwards.
        settings: where the secrets are kept.
        credentials: the secrets we hold.
        reset_password: makes the account's password that of ``credentials``.
        transport: what carries requests beside those of ``client``; None is the network.

    Raises:
        AccessError: the password is refused even after that.
        UnavailableError: Label Studio does not answer as expected.
    """
    with httpx.Client(base_url=client.base_url, timeout=client.timeout, trust_env=False, transport=transport) as bare:
        return _sign_in(client, bare, settings, credentials, reset_password)


def _sign_in(
    client: httpx.Client,
    bare: httpx.Client,
    settings: Settings,
    credentials: Credentials,
    reset_password: Callable[[], None],
) -> Credentials:
    if not _log_in(client, credentials):
        reset_password()
        if not _log_in(client, credentials):
            raise AccessError(
                f"Label Studio refuses the account {EMAIL}; move its data folder away to begin anew, or make the account"
            )
    if _token_works(bare, credentials.label_studio_token):
        return credentials
    token = _fetch_token(client)
    if not _token_works(bare, token):
        _allow_legacy_tokens(client)
    replace(Credentials.kept(settings), label_studio_token=token).save(settings)
    return replace(credentials, label_studio_token=token)


def reset_password(command: str, environment: Mapping[str, str], password: str) -> None:
    """Set the account's password from outside Label Studio's web pages.

    Raises:
        UnavailableError: the command fails.
    """
    done = subprocess.run(  # noqa: S603 - the command is the Label Studio that the demo runs
        [command, "reset_password", "--username", EMAIL],
        input=f"{password}\n",  # not an argument: those are there for all to see
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=RESET_SECONDS,
        start_new_session=True,  # without a terminal getpass reads the line above
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"label-studio reset_password ended with {done.returncode}: {done.stderr[-500:]}")
    log.info("the password of %s was set anew", EMAIL)


def _token_works(bare: httpx.Client, token: str) -> bool:
    """``bare`` has no session: that would vouch for any token."""
    answer = bare.get("/api/current-user/whoami", headers={"Authorization": f"Token {token}"})
    return answer.status_code == httpx.codes.OK


def _base(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def _log_in(client: httpx.Client, credentials: Credentials) -> bool:
    """Open a session in ``client``; False when the password is wrong."""
    client.cookies.clear()
    client.get("/user/login/")
    answer = client.post(
        "/user/login/",
        data={
            "email": EMAIL,
            "password": credentials.demo_password,
            "csrfmiddlewaretoken": client.cookies.get("csrftoken") or "",
        },
        headers={"Referer": f"{_base(client)}/user/login/"},
    )
    return answer.status_code == httpx.codes.FOUND


def _fetch_token(client: httpx.Client) -> str:
    answer = client.get("/api/current-user/token")
    if answer.status_code != httpx.codes.OK:
        raise UnavailableError(f"Label Studio answered {answer.status_code} when asked for the account's token")
    return str(answer.json()["token"])


def _allow_legacy_tokens(client: httpx.Client) -> None:
    answer = client.post(
        "/api/jwt/settings",
        json={"api_tokens_enabled": True, "legacy_api_tokens_enabled": True},
        headers={"X-CSRFToken": client.cookies.get("csrftoken") or "", "Referer": f"{_base(client)}/"},
    )
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise UnavailableError(f"Label Studio answered {answer.status_code} when asked to accept legacy tokens")
