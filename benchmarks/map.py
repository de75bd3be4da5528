"""How long a worker takes to make the map of the samples, and a browser to draw it.

    python -m benchmarks.map                                   # 20,000 of 100,000 samples
    python -m benchmarks.map --samples 5000 --json

The features are drawn: 14 round clusters in 64 dimensions. Seconds of the map are processor time of one core. The map is
then served by `pal serve` with everything that a project has (benchmarks.pages), opened in a headless Chromium without a
GPU, moved and zoomed by keyboard, and each redraw is timed by the page itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.pages import PROJECT, World, free_port, serving
from benchmarks.questions_tables import console
from pal_backend.core.places import Places
from pal_backend.core.projection import project
from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from pal_backend.team import change_password

CLUSTERS, DIMENSIONS = 14, 64
KEYS = (*["ArrowLeft", "ArrowRight"] * 10, *["+"] * 8, *["ArrowUp"] * 5, *["-"] * 8)
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TAKEN = "performance.getEntriesByName('map').map(entry => entry.duration)"


def drawn_features(samples: int, seed: int) -> NDArray[np.float32]:
    """Round clusters, float32 (samples, 64)."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS)) * 1.2
    own = centres[rng.integers(CLUSTERS, size=samples)]
    return np.asarray(own + rng.standard_normal((samples, DIMENSIONS)), np.float32)


def made(samples: int) -> tuple[Places, float]:
    """A map, and the seconds of processor time it took."""
    features, begun = drawn_features(samples, 0), time.process_time()
    places = project(features, seed=0)
    return places, time.process_time() - begun


def redrawn(places: Places, samples: int, density: float) -> list[float]:
    """Milliseconds of each redraw of a map.

    Args:
        places: what is on it.
        samples: of the project.
        density: device pixels to a CSS pixel.
    """
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder, "redis"), free_port()) as redis:
        url = f"redis://127.0.0.1:{redis.port}/0"
        settings = Settings(home=Path(folder, "pal"), redis_url=url, port=free_port(), log_level="WARNING")
        world = World(settings, samples, CLUSTERS, 200, seed=0)
        Stores.open(settings).maps(PROJECT).put("v0000", places, samples)
        world.publish()
        with serving(settings), sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            context = browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=density)
            page = context.new_page()
            page.goto(f"{settings.public}/projects/{PROJECT}/map")
            page.fill("#password", change_password(settings, "viewer") or "")
            page.keyboard.press("Enter")
            page.locator("#plane").focus()
            while not page.evaluate(TAKEN):
                page.wait_for_timeout(100)
            times = []
            for key in KEYS:
                page.keyboard.press(key)
                page.evaluate(FRAME)
                times += page.evaluate(TAKEN)
            browser.close()
    return times


def run(samples: int) -> dict[str, Any]:
    """Both, as one object."""
    places, seconds = made(samples)
    found: dict[str, Any] = {"samples": samples, "shown": len(places.rows), "seconds": seconds}
    for density in (1.0, 2.0):
        times = redrawn(places, samples, density)
        found[f"redraw_ms_at_{density:g}x"] = statistics.median(times)
        found[f"worst_ms_at_{density:g}x"] = max(times)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    found = run(options.samples)
    if options.json:
        print(json.dumps(found))
        return
    table = Table("what", "figure")
    for name, figure in found.items():
        table.add_row(name.replace("_", " "), f"{figure:,.1f}" if isinstance(figure, float) else f"{figure:,}")
    console().print(table)


if __name__ == "__main__":
    main()
