"""What an annotator's browser makes of our pictures, as the doctor judges it."""

from __future__ import annotations

import pytest

from label_config import render
from pal_backend.doctor_browser import picture_urls
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.healthy_house import (
    PAL,
    House,
    public_elsewhere,
)


@pytest.fixture
def house(settings: Settings, stores: Stores) -> House:
    """A healthy installation."""
    return House(settings, stores)


def test_public_address_on_loopback(house: House) -> None:
    """A loopback address for pictures is wrong when annotators open Label Studio at another one."""
    public_elsewhere(house)
    house.page = '<link href="http://label.example.com:8080/static/css/login.css"/>'
    findings = house.findings()
    assert findings["public-loopback"].ok is False
    assert "PAL_PUBLIC_URL" in findings["public-loopback"].mend


def test_label_studio_on_loopback_may_use_loopback_pictures(house: House) -> None:
    """Label Studio that names 127.0.0.1 as its own host fits pictures from 127.0.0.1, wherever it is reached by us."""
    public_elsewhere(house)
    house.page = '<link href="http://127.0.0.1:8080/static/css/login.css"/>'
    assert house.findings()["public-loopback"].ok


def test_pictures_in_a_container(house: House) -> None:
    """Where the browsers' loopback address is not ours, the picture is tried at the address that Label Studio uses."""
    public_elsewhere(house)
    house.page = '<link href="http://127.0.0.1:8080/static/css/login.css"/>'
    finding = house.findings()["picture"]
    assert finding.ok
    assert PAL in finding.sentence


def test_nothing_posted_yet(house: House) -> None:
    """Without a question no picture can be tried, which is no fault."""
    house.task = None
    assert house.findings()["picture"].ok is None


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ("img-src *", True),
        ("img-src http:", True),
        ("img-src https:", False),
        ("img-src pal.example.com:9090", True),
        ("img-src pal.example.com", False),
        ("img-src http://pal.example.com:*", True),
        ("img-src *.example.com:9090", True),
        ("img-src *.pal.example.com:9090", False),
        ("img-src 'none'", False),
        ("default-src 'self'", False),
        ("script-src 'self'", True),
    ],
)
def test_page_policies(house: House, policy: str, allowed: bool) -> None:
    """A policy is read as browsers read it: schemes, hosts, wildcards, ports, and default-src in place of img-src."""
    house.page_headers = {"Content-Security-Policy": policy}
    assert house.findings()["page-policy"].ok is allowed


def test_pictures_of_both_kinds_of_question_are_found() -> None:
    """The pictures of a pair and of a screen are those their task data show."""
    assert picture_urls(render.pair_task("http://a/1?sig=2&x", "http://a/2")) == ["http://a/1?sig=2&x", "http://a/2"]
    screen = render.screen_task("http://a/0", [("s1", "http://a/1?a=1&b=2")])
    assert picture_urls(screen) == ["http://a/0", "http://a/1?a=1&b=2"]
