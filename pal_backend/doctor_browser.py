"""Checks of what an annotator's browser will make of our pictures on Label Studio's page."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from pal_backend.core.vocabulary import Medium
from pal_backend.doctor_parts import Check, Outcome, bad, good, unknown
from pal_backend.doctor_scene import Scene, is_loopback, origin

_STYLES = re.compile(r'href="(https?://[^"]+?)/static/')
_PICTURE = re.compile(r'src="([^"]+)"')
PUBLIC = "set PAL_PUBLIC_URL to the web process' address as browsers see it"


def picture_urls(data: dict[str, Any]) -> list[str]:
    """Where the pictures of a task are: text that is a URL, and ``<img>`` of candidates."""
    urls = [value for value in data.values() if isinstance(value, str) and value.startswith(("http://", "https://"))]
    for candidate in data.get("candidates") or ():
        shown = candidate.get("html", "") if isinstance(candidate, dict) else ""
        urls += [html.unescape(found) for found in _PICTURE.findall(shown)]
    return urls


def label_studio_origin(scene: Scene) -> str:
    """Where browsers find Label Studio: its page names its own host if it was told (``LABEL_STUDIO_HOST``)."""
    found = _STYLES.search(scene.page().text)
    return origin(found[1] if found else scene.settings.label_studio_url)


def picture(scene: Scene) -> Outcome:
    """A picture of the newest question loads."""
    if scene.project is not None and scene.project.medium is Medium.TEXT:
        return good("The samples are texts, which stand in the tasks: there is no picture to load.")
    data = scene.newest_task()
    urls = [] if data is None else picture_urls(data)
    if not urls:
        return unknown("No question is posted yet, so no picture can be tried.")
    return _loads(scene, urls[0])


def _loads(scene: Scene, url: str) -> Outcome:
    assert scene.project is not None
    shown = url.partition("?")[0]  # what follows is the signature
    repost = "delete the tasks without an answer in Label Studio's Data Manager: questions are posted anew"
    if not url.startswith(f"{scene.settings.public}/"):
        return bad(
            f"The newest question's picture is at {shown}; browsers should find pictures under {scene.settings.public}.",
            f"{PUBLIC}; {repost}",
        )
    tried, response = _fetch(scene, url)
    if response is None:
        return bad(f"The picture at {shown} cannot be loaded from here.", PUBLIC)
    if response.status_code == httpx.codes.NOT_FOUND:
        return bad(
            f"The picture at {shown} is not there, or was signed with another key.",
            f"see that the pool {scene.project.pool} is readable for `pal serve`; {repost}",
        )
    kind = response.headers.get("content-type", "")
    if response.status_code != httpx.codes.OK or not kind.startswith("image/"):
        return bad(
            f"What is at {shown} is no picture (status {response.status_code}, {kind or 'no content type'}).", PUBLIC
        )
    return good(f"A picture of the newest question loads (tried from here at {origin(tried)}).")


def _fetch(scene: Scene, url: str) -> tuple[str, httpx.Response | None]:
    """The picture, and where it was found: inside a container the browsers' 127.0.0.1 is not ours."""
    places = [url]
    if is_loopback(url) and not is_loopback(scene.settings.backend):
        places.append(url.replace(scene.settings.public, scene.settings.backend, 1))
    for place in places:
        try:
            return place, scene.browser.get(place)
        except httpx.TransportError:
            continue
    return url, None


def public_loopback(scene: Scene) -> Outcome:
    """Annotators at other machines are not sent to their own."""
    public, page = scene.settings.public, label_studio_origin(scene)
    if is_loopback(public) and not is_loopback(page):
        return bad(
            f"Annotators open Label Studio at {page}, and their browsers would look for pictures on their own machine "
            f"({public}).",
            PUBLIC,
        )
    return good(f"Browsers look for pictures at {public}.")


def mixed_content(scene: Scene) -> Outcome:
    """A page that came over https shows no pictures that come over http; from loopback it does."""
    public, page = scene.settings.public, label_studio_origin(scene)
    if page.startswith("https://") and public.startswith("http://") and not is_loopback(public):
        return bad(
            f"Label Studio's page comes over https ({page}); a browser shows no pictures on it that come over http ({public}).",
            "serve the web process over https (a reverse proxy) and set PAL_PUBLIC_URL to that address",
        )
    return good("The page and the pictures may be shown together.")


def page_policy(scene: Scene) -> Outcome:
    """Label Studio's page does not forbid our pictures (Content-Security-Policy; by default it only reports)."""
    public, page = scene.settings.public, label_studio_origin(scene)
    for policy in scene.page().headers.get_list("content-security-policy", split_commas=True):
        sources = _image_sources(policy)
        if sources is not None and not any(_allows(source, public, page) for source in sources):
            return bad(
                f"Label Studio's page forbids pictures from {origin(public)} (Content-Security-Policy: img-src {' '.join(sources)}).",
                f"add {origin(public)} to img-src where the policy is set (often the reverse proxy); Label Studio's own "
                "only reports, unless LS_CSP_REPORT_ONLY=false",
            )
    return good("Label Studio's page allows our pictures.")


def _image_sources(policy: str) -> list[str] | None:
    """What a policy says about pictures; None when it says nothing."""
    rules = {words[0].lower(): words[1:] for part in policy.split(";") if (words := part.split())}
    return rules.get("img-src", rules.get("default-src"))


def _allows(source: str, public: str, page: str) -> bool:
    """Whether one source expression lets ``public`` in (CSP level 3, 6.7.2.8, without paths)."""
    wanted = urlsplit(public)
    source = source.lower()
    if source == "'self'":
        return origin(public) == page
    if source == "*":
        return True
    if source.endswith(":"):
        return wanted.scheme in _schemes(source[:-1])
    given = urlsplit(source if "://" in source else f"//{source}")
    if given.scheme and wanted.scheme not in _schemes(given.scheme):
        return False
    host, name = given.hostname or "", wanted.hostname or ""
    fits = name.endswith(host[1:]) if host.startswith("*.") else name == host
    return fits and (source.endswith(":*") or _port(given.port, wanted.scheme) == _port(wanted.port, wanted.scheme))


def _schemes(scheme: str) -> Sequence[str]:
    return ("http", "https") if scheme == "http" else (scheme,)


def _port(port: int | None, scheme: str) -> int:
    return port or (443 if scheme == "https" else 80)


CHECKS = (
    Check("public-loopback", public_loopback, ("label-studio",)),
    Check("mixed-content", mixed_content, ("label-studio",)),
    Check("page-policy", page_policy, ("label-studio",)),
)
DESK_CHECKS = (Check("picture", picture, ("desk-project",)),)
