"""How long Label Studio's annotators wait for our webhook: events at a fixed rate against the real web process.

    python -m benchmarks.webhook --rate 100 --seconds 60 --busy

Each event is a recorded ANNOTATION_CREATED with ids of its own, sent on a connection of its own as Label Studio sends it,
at its appointed time whether or not earlier ones were answered. Time counts from that moment to the end of the answer.
``--busy`` trains a small network beside it, as low in priority and with as many threads as a training job has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pal_backend.core.vocabulary import QuestionKind
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.wire import Submitted

RECORDING = Path(__file__).parents[1] / "tests" / "recordings" / "24_annotation_create.json"
PROJECT, DESK = "bench", "pairs"
SERVE = "from pal_backend.bootstrap import serve; from pal_backend.settings import Settings; serve(Settings.from_env())"
TRAIN = """
import os, torch
os.nice(10)
torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Conv2d(32, 64, 3, 2), torch.nn.ReLU(),
    torch.nn.Flatten(), torch.nn.LazyLinear(64),
)
images, rate = torch.rand(256, 3, 32, 32), 1e-3
while True:
    loss = net(images).square().mean()
    loss.backward()
    with torch.no_grad():
        for weight in net.parameters():
            weight -= rate * weight.grad
            weight.grad = None
    print("step", flush=True)
"""


def main() -> None:
    """Measure once; print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100, help="events a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--busy", action="store_true", help="train beside it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = measure(options.rate, options.seconds, options.busy)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24}{value}")


def measure(rate: int, seconds: int, busy: bool) -> dict[str, Any]:
    """Start everything, send ``rate * seconds`` events, count what stands in the stream."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(home / "redis", free_port()))
        settings = Settings(
            home=home, redis_url=f"redis://127.0.0.1:{redis.port}/0", port=free_port(), log_level="WARNING"
        )
        credentials = Credentials.load_or_create(settings)
        stores = Stores.open(settings)
        stores.projects.save(Project(PROJECT, str(home), (Desk(DESK, QuestionKind.PAIR, 2, 1, 1),)))
        web = stack.enter_context(python(SERVE, settings))
        wait_for(settings.port)
        if busy:
            trainer = stack.enter_context(python(TRAIN, settings, stdout=subprocess.PIPE))
            assert trainer.stdout is not None
            trainer.stdout.readline()
            stack.callback(trainer.stdout.close)
            Drain(trainer).start()
        requests = [request(settings, credentials, number) for number in range(1, rate * seconds + 1)]
        asyncio.run(send_at_rate(settings.port, requests[:rate], rate))  # warm up: imports, connections, caches
        stores.redis.delete(f"pal:{PROJECT}:events")
        used = processor_seconds(web.pid)
        answers = asyncio.run(send_at_rate(settings.port, requests, rate))
        spent = {"web_cpu_ms_per_event": round(1000 * (processor_seconds(web.pid) - used) / len(requests), 2)}
        return {**report(answers, len(requests), rate, busy), **spent, **kept(stores, len(requests)), **memory(web.pid)}


class Drain:
    """Reads a child's output away, counting lines, so that it never blocks."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def start(self) -> None:
        """Read in the background until the child ends."""
        import threading

        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        try:
            for _ in self._child.stdout:
                pass
        except ValueError:
            return  # closed at the end


def free_port() -> int:
    """A port on which nothing listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def python(code: str, settings: Settings, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child that runs ``code`` with these settings, ended with the block."""
    environment = {**os.environ, **settings.to_env()}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, **more)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(port: int, seconds: float = 60.0) -> None:
    """Until something listens."""
    import socket

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} after {seconds} s")


def request(settings: Settings, credentials: Credentials, number: int) -> bytes:
    """A recorded webhook as annotation ``number``, ready to be sent."""
    body = json.loads(RECORDING.read_text())["requests_sent_by_label_studio"][0]["body"]
    body["annotation"] |= {"id": number, "task": number}
    body["task"]["id"] = number
    content = json.dumps(body).encode()
    head = (
        f"POST /p/{PROJECT}/{DESK}/webhook HTTP/1.1\r\nHost: 127.0.0.1:{settings.port}\r\n"
        f"{WEBHOOK_HEADER}: {credentials.webhook_secret}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


async def send_at_rate(port: int, requests: list[bytes], rate: int) -> list[tuple[float, int]]:
    """(seconds, status) of each request, sent at its appointed time."""
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.2

    async def one(number: int, content: bytes) -> tuple[float, int]:
        due = start + number / rate
        await asyncio.sleep(due - loop.time())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(content)
        answer = await reader.read()
        took = loop.time() - due
        writer.close()
        return took, int(answer.split(b" ", 2)[1]) if answer else 0

    return await asyncio.gather(*(one(number, content) for number, content in enumerate(requests)))


def report(answers: list[tuple[float, int]], sent: int, rate: int, busy: bool) -> dict[str, Any]:
    """Percentiles in milliseconds, and what was not answered 201."""
    times = np.array([took for took, _ in answers]) * 1000
    return {
        "events": sent,
        "per_second": rate,
        "training_beside": busy,
        "p50_ms": round(float(np.percentile(times, 50)), 2),
        "p99_ms": round(float(np.percentile(times, 99)), 2),
        "max_ms": round(float(times.max()), 2),
        "not_201": sum(status != 201 for _, status in answers),
    }


def kept(stores: Stores, sent: int) -> dict[str, Any]:
    """How many of the events stand in the stream, each once."""
    stored = stores.events(PROJECT).read("0-0", 2 * sent)
    ids = [s.annotation for entry in stored if isinstance(entry.event, Submitted) for s in entry.event.submissions]
    return {"in_stream": len(ids), "every_event_once": sorted(ids) == list(range(1, sent + 1))}


def processor_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, Any]:
    """Resident memory of the web process, and whether torch is in it."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return {
        "web_rss_mb": round(int(resident.split()[1]) / 1024, 1),
        "web_has_torch": "libtorch" in Path(f"/proc/{pid}/maps").read_text(),
    }


if __name__ == "__main__":
    main()
