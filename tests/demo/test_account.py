"""Signing in to Label Studio, also when the secrets or Label Studio's data were lost."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from pal_backend.credentials import Credentials
from pal_backend.demo import account
from pal_backend.errors import AccessError
from pal_backend.settings import Settings


class LabelStudioAccounts:
    """As much of Label Studio as signing in takes: one account, a session cookie, a legacy token."""

    def __init__(self, password: str, token: str, legacy: bool = True) -> None:
        self.password = password
        self.token = token
        self.legacy = legacy
        self.resets = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        session = "sessionid=open" in request.headers.get("cookie", "")
        match request.method, request.url.path:
            case "GET", "/user/login/":
                return httpx.Response(200, headers={"set-cookie": "csrftoken=abc; Path=/"})
            case "POST", "/user/login/":
                form = parse_qs(request.content.decode())
                right = form["password"] == [self.password] and form["csrfmiddlewaretoken"] == ["abc"]
                return (
                    httpx.Response(302, headers={"set-cookie": "sessionid=open; Path=/"})
                    if right
                    else httpx.Response(200)
                )
            case "GET", "/api/current-user/whoami":
                known = self.legacy and request.headers.get("authorization") == f"Token {self.token}"
                return httpx.Response(200 if known else 401)
            case "GET", "/api/current-user/token":
                return httpx.Response(200, json={"token": self.token}) if session else httpx.Response(401)
            case "POST", "/api/jwt/settings":
                self.legacy = json.loads(request.content)["legacy_api_tokens_enabled"]
                return httpx.Response(200 if session else 401)
        raise AssertionError(f"unexpected {request.method} {request.url}")


def sign_in(server: LabelStudioAccounts, settings: Settings, reset_works: bool = True) -> Credentials:
    """Prepare secrets in the folder and sign in with them."""
    credentials = account.prepare(settings)

    def reset() -> None:
        server.resets += 1
        if reset_works:
            server.password = credentials.demo_password

    transport = httpx.MockTransport(server)
    with httpx.Client(transport=transport, base_url="http://127.0.0.1:8080") as client:
        return account.sign_in(client, settings, credentials, reset, transport=transport)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A folder that holds nothing yet."""
    return Settings(home=tmp_path / "pal")


def test_secrets_are_made_once(settings: Settings) -> None:
    """A second run finds the password and token of the first, in a file for its owner alone."""
    first = account.prepare(settings)
    assert account.prepare(settings) == first
    assert len(first.label_studio_token) == 40
    assert first.demo_password
    assert (settings.home / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_what_the_environment_says_is_not_kept(settings: Settings) -> None:
    """A password given for one run is used and not written down."""
    credentials = account.prepare(replace(settings, basic_auth_password="for one run"))
    assert credentials.basic_auth_password == "for one run"
    assert "for one run" not in (settings.home / "secrets.json").read_text()


def test_a_new_account_needs_no_reset(settings: Settings) -> None:
    """Label Studio made the account with our own password and token: nothing is changed."""
    prepared = account.prepare(settings)
    server = LabelStudioAccounts(prepared.demo_password, prepared.label_studio_token)
    assert sign_in(server, settings) == prepared
    assert server.resets == 0


def test_lost_secrets_win_the_account_back(settings: Settings) -> None:
    """Only Label Studio's data survived: the password is set anew, the token fetched and kept."""
    server = LabelStudioAccounts("nobody knows it any more", "f" * 40)
    credentials = sign_in(server, settings)
    assert server.resets == 1
    assert credentials.label_studio_token == "f" * 40
    assert account.prepare(settings) == credentials


def test_a_changed_password_alone_is_set_back(settings: Settings) -> None:
    """The token still works but the password that the panel shows does not: it is made true again."""
    prepared = account.prepare(settings)
    server = LabelStudioAccounts("changed in the web page", prepared.label_studio_token)
    assert sign_in(server, settings) == prepared
    assert server.resets == 1


def test_legacy_tokens_are_switched_on_where_they_are_off(settings: Settings) -> None:
    """Data of a Label Studio that refuses legacy tokens is taken over all the same."""
    server = LabelStudioAccounts("unknown", "f" * 40, legacy=False)
    sign_in(server, settings)
    assert server.legacy


def test_a_refused_account_says_what_to_do(settings: Settings) -> None:
    """When even a new password is refused the message names the account and the way out."""
    server = LabelStudioAccounts("unknown", "f" * 40)
    with pytest.raises(AccessError, match=r"refuses the account demo@pal\.local; move its data folder away"):
        sign_in(server, settings, reset_works=False)
