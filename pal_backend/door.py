"""Who may look at our pages, and who may act there: passwords of two roles, Label Studio's people, a sealed cookie, a token on every act."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from pal_backend.credentials import Credentials
from pal_backend.errors import AccessError
from pal_backend.label_studio_people import Person
from pal_backend.passwords import matches
from pal_backend.store.logins import Logins

COOKIE = "pal_session"
SESSION_SECONDS = 14 * 86_400
PERSON_SECONDS = 12 * 3600
"""Of a session that a Label Studio token began: whoever loses their place there loses it here within half a day."""
LED = 50
"""Projects that a session may lead without leading all: a cookie holds 4 kB."""
TOKEN_FIELD = "token"  # noqa: S105  the name of a form field


class Role(StrEnum):
    """What a visitor may do."""

    LEAD = "lead"
    """See, name, decide."""
    VIEWER = "viewer"
    """See."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who signed in."""

    role: Role
    token: str = field(repr=False)
    """What each of this visitor's forms must carry."""
    name: str = ""
    """Of who came with a Label Studio token; passwords are the whole team's."""

    @property
    def leads(self) -> bool:
        """Whether this visitor may act."""
        return self.role is Role.LEAD


class Door:
    """Checks passwords and cookies.

    Args:
        credentials: read anew at each request, so that a new password counts at once and ends the sessions of the old one.
        logins: counts failed attempts.
        secure: whether browsers come over https; the cookie is then never sent without it.
        by_token: whether Label Studio's people come in.
    """

    def __init__(
        self, credentials: Callable[[], Credentials], logins: Logins, *, secure: bool, by_token: bool = False
    ) -> None:
        self._credentials = credentials
        self._logins = logins
        self._secure = secure
        self.by_token = by_token

    @property
    def is_open(self) -> bool:
        """Whether there is any password with which one could come in."""
        kept = self._credentials()
        return bool(kept.lead_password or kept.viewer_password)

    def visitor(self, request: Request) -> Visitor:
        """Who sends this request.

        Raises:
            AccessError: nobody who has signed in, or too long ago, or with a password that was changed since.
        """
        sealed = request.cookies.get(COOKIE, "")
        kept = self._credentials()
        for role in Role:
            if not (kept.session_key and _hash(kept, role)):
                continue
            try:
                _seal(kept, role).loads(sealed, max_age=SESSION_SECONDS)
            except BadSignature:
                continue
            return Visitor(role, _token(kept, sealed))
        if self.by_token and kept.session_key:
            try:
                said = _person_seal(kept).loads(sealed, max_age=PERSON_SECONDS)
            except BadSignature:
                pass
            else:
                leads = said["leads"] is True or request.path_params.get("project") in (said["leads"] or ())
                return Visitor(Role.LEAD if leads else Role.VIEWER, _token(kept, sealed), said["name"])
        raise AccessError("nobody has signed in here; expected one of the team's passwords; sign in")

    def enter(self, request: Request, password: str) -> tuple[Role, str]:
        """The role that a password opens, and the cookie for it.

        Raises:
            AccessError: a wrong password, none there yet, too many tries (429), or a form of another site (403).
        """
        client = self.knock(request)
        kept = self._credentials()
        # Both are compared whatever the first one gives, so that time tells nothing.
        right = {role: matches(password, _hash(kept, role)) for role in Role}
        for role, is_right in right.items():
            if is_right:
                self._logins.forget(client)
                return role, _seal(kept, role).dumps(secrets.token_hex(8))
        raise AccessError(
            "that is not one of this team's passwords; ask whoever runs PAL, `pal password` makes a new one"
        )

    def knock(self, request: Request) -> str:
        """Count an attempt to come in; returns whose it is.

        Raises:
            AccessError: too many tries (429), or a form of another site (403).
        """
        same_site(request)
        client = _network(request.client.host if request.client else "")
        if not self._logins.count(client):
            raise AccessError("too many attempts from here; wait a minute, then try again", status=429)
        return client

    def knock_with_token(self, request: Request) -> str:
        """As :meth:`knock`, of somebody who brings a Label Studio token.

        Raises:
            AccessError: as there, or Label Studio's people do not come in here (403).
        """
        if not self.by_token:
            raise AccessError("tokens open nothing here; sign in with the team's password", status=403)
        return self.knock(request)

    def admit(self, person: Person, client: str) -> str:
        """The cookie for somebody whom Label Studio knows, and who knocked."""
        self._logins.forget(client)
        leads = True if person.leads_all else list(person.leads[:LED])
        said = {"user": person.user, "name": person.name, "leads": leads, "nonce": secrets.token_hex(8)}
        return _person_seal(self._credentials()).dumps(said)

    def act(self, request: Request, token: str) -> Visitor:
        """The lead who acts by a form of ours.

        Raises:
            AccessError: nobody signed in, a viewer (403), or a form that is not ours (403).
        """
        visitor = self.visitor(request)
        same_site(request)
        if not hmac.compare_digest(visitor.token.encode(), token.encode("utf-8", "replace")):
            raise AccessError("this form is not ours, or too old; load the page again, then act", status=403)
        return visitor

    def lead(self, request: Request, token: str) -> Visitor:
        """Like :meth:`act`, for what only leads may do."""
        visitor = self.act(request, token)
        if not visitor.leads:
            raise AccessError(
                "viewers look and change nothing; sign in with the lead's password, or as somebody who leads this project",
                status=403,
            )
        return visitor

    def remember(self, response: Response, cookie: str) -> None:
        """Give the browser its cookie: not for scripts, not for other sites' forms, over https alone where there is one."""
        response.set_cookie(
            COOKIE, cookie, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=self._secure, path="/"
        )

    def forget(self, response: Response) -> None:
        """Take the cookie away."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=self._secure)


def same_site(request: Request) -> None:
    """Let a form pass that stands on a page of ours; browsers say where a form stood, and a script cannot change it.

    Raises:
        AccessError: it stood on another site's page (403).
    """
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = fetched not in (None, "same-origin", "none")
    if fetched is None and origin is not None:
        foreign = urlsplit(origin).netloc != request.headers.get("host", "")
    if foreign:
        raise AccessError("this form was sent from another site's page; load the page here, then act", status=403)


def _hash(kept: Credentials, role: Role) -> str:
    return kept.lead_password if role is Role.LEAD else kept.viewer_password


def _seal(kept: Credentials, role: Role) -> URLSafeTimedSerializer:
    # The password's hash is part of the key: a new password ends the sessions of the old one.
    key = f"{kept.session_key}/{role}/{_hash(kept, role)}"
    return URLSafeTimedSerializer(key, salt="pal-session", signer_kwargs={"digest_method": hashlib.sha256})


def _person_seal(kept: Credentials) -> URLSafeTimedSerializer:
    key = f"{kept.session_key}/label-studio"
    return URLSafeTimedSerializer(key, salt="pal-person", signer_kwargs={"digest_method": hashlib.sha256})


def _network(address: str) -> str:
    """What counts as one client: an address, of IPv6 the network that one household has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _token(kept: Credentials, sealed: str) -> str:
    return hmac.new(kept.session_key.encode(), f"form/{sealed}".encode(), hashlib.sha256).hexdigest()
