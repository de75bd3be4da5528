"""Label Studio as a whole: what it tells of itself, and the advice about its rules."""

from __future__ import annotations

import ipaddress
import time

import httpx
import pytest

from pal_backend.doctor_label_studio import still_banned
from pal_backend.label_studio_tokens import TokenAuth
from pal_backend.label_studio_values import DRAFTS_FLAG
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.healthy_house import (
    House,
    change,
)
from tests.label_studio_server import LabelStudioServer


@pytest.fixture
def house(settings: Settings, stores: Stores) -> House:
    """A healthy installation."""
    return House(settings, stores)


def test_backend_address_on_loopback(house: House) -> None:
    """A loopback address for Label Studio's calls is wrong when Label Studio is elsewhere."""
    change(house, backend_url="http://127.0.0.1:9090")
    finding = house.findings()["backend-loopback"]
    assert finding.ok is False
    assert "PAL_BACKEND_URL" in finding.mend


def test_lock_time_that_nobody_tells(house: House) -> None:
    """A token that is not shown Label Studio's settings leaves the lock time unknown, and says what it is by default."""
    house.version_page = "<pre>{}</pre>"
    finding = house.findings()["lock-time"]
    assert finding.ok is None
    assert "a day" in finding.sentence


@pytest.mark.parametrize(
    ("page", "ok", "says"),
    [
        (f'"{DRAFTS_FLAG}": true', True, "is kept from"),
        (f'"{DRAFTS_FLAG}": false', None, "Chance alone"),
        ('"other": true', None, "does not tell"),
    ],
)
def test_whether_rechecks_go_to_somebody_else(house: House, page: str, ok: bool | None, says: str) -> None:
    """Label Studio's page of feature flags tells; nothing is wrong where it is off, but the way to switch it on is named."""
    house.flags_page = f"<pre>{{{page}}}</pre>"
    finding = house.findings()["second-person"]
    assert finding.ok is ok
    assert says in finding.sentence
    assert finding.mend == (f"start Label Studio with {DRAFTS_FLAG}=true" if says == "Chance alone" else "")


@pytest.mark.e2e
def test_label_studio_tells_its_feature_flag(label_studio: LabelStudioServer) -> None:
    """A real Label Studio shows the page to a personal token, not to a legacy one; as it comes the flag is off."""
    tokens = (label_studio.pat, label_studio.legacy_token)
    pages = [
        httpx.get(f"{label_studio.url}/feature-flags/", auth=TokenAuth(label_studio.url, token, time.time)).text
        for token in tokens
    ]
    assert [f'"{DRAFTS_FLAG}": false' in page for page in pages] == [True, False]


@pytest.mark.parametrize(
    ("url", "block", "freed", "banned"),
    [
        (
            "http://172.31.77.5:9090",
            "172.16.0.0/12",
            "172.31.77.0/24",
            ["172.31.76.9", "172.16.0.1", "169.254.169.254"],
        ),
        ("http://127.0.0.1:9090", "127.0.0.0/8", "127.0.0.0/8", ["10.0.0.1", "192.168.1.1", "169.254.169.254"]),
        ("http://10.1.2.3", "10.0.0.0/8", "10.1.2.0/24", ["10.1.3.1", "172.31.77.5"]),
    ],
)
def test_the_advice_frees_one_small_network(url: str, block: str, freed: str, banned: list[str]) -> None:
    """The list we advise lets Label Studio reach our /24 (or loopback), and nothing else that it banned."""
    nets = [
        ipaddress.ip_network(net) for net in still_banned(url, f"URL resolves to a reserved address (block: {block})")
    ]
    freed_net = ipaddress.ip_network(freed)
    assert not any(net.version == freed_net.version and net.overlaps(freed_net) for net in nets)
    assert all(any(ipaddress.ip_address(one) in net for net in nets) for one in banned)
