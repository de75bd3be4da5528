"""The demo's folder, its lock and the settings that follow from the options."""

import subprocess
import sys
from pathlib import Path

import pytest

from pal_backend.demo.home import Options, only_one
from pal_backend.errors import ConflictError
from pal_backend.settings import Settings


def test_one_demo_a_folder(tmp_path: Path) -> None:
    """A second demo on the same folder is refused in one sentence."""
    with only_one(tmp_path), pytest.raises(ConflictError, match="another `pal demo` runs on"), only_one(tmp_path):
        pass


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    """After a SIGKILL the next demo starts without any cleaning up."""
    code = (
        "import os, signal, sys; from pathlib import Path; from pal_backend.demo.home import only_one\n"
        f"with only_one(Path({str(tmp_path)!r})):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with only_one(tmp_path):
        pass


def test_everything_is_on_this_machine(tmp_path: Path) -> None:
    """Addresses and token of the environment are for other installations; the rest is kept."""
    given = Settings(
        redis_url="redis://elsewhere:1/0",
        label_studio_url="https://elsewhere",
        label_studio_token="somebody's",
        backend_url="https://elsewhere",
        train_epochs=3,
    )
    settings = Options(home=tmp_path, port=1, label_studio_port=2, redis_port=3).settings(given)
    assert (settings.redis_url, settings.label_studio_url) == ("redis://127.0.0.1:3/0", "http://127.0.0.1:2")
    assert settings.backend == "http://127.0.0.1:1"
    assert settings.label_studio_token == ""
    assert settings.train_epochs == 3
    assert settings.home.is_absolute()
