"""How long Label Studio's annotators wait for our webhook: events at a fixed rate against the real web process.

    python -m benchmarks.webhook --rate 100 --seconds 60 --busy

Each event is a recorded ANNOTATION_CREATED with ids of its own, sent on a connection of its own as Label Studio sends it,
at its appointed time whether or not earlier ones were answered. Time counts from that moment to the end of the answer.
``--busy`` trains a small network beside it, as low in priority and with as many threads as a training job has.
``--learn`` has a learn worker fold the events in meanwhile, and counts the answers afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings, child_environment
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version
from pal_backend.wire import Submitted

RECORDING = Path(__file__).parents[1] / "tests" / "recordings" / "24_annotation_create.json"
PROJECT, DESK = "bench", "pairs"
SAMPLES = 1000
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
"""


def main() -> None:
    """Measure once; print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100, help="events a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--busy", action="store_true", help="train beside it")
    parser.add_argument("--learn", action="store_true", help="run a learn worker beside it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = measure(options.rate, options.seconds, busy=options.busy, learn=options.learn)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24}{value}")


def measure(rate: int, seconds: int, *, busy: bool, learn: bool) -> dict[str, Any]:
    """Start everything, send ``rate * seconds`` events, count what stands in the stream and among the answers."""
    sent = rate * seconds
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(home / "redis", free_port()))
        url = f"redis://127.0.0.1:{redis.port}/0"
        settings = Settings(home=home, redis_url=url, port=free_port(), log_level="WARNING")
        stores = Stores.open(settings)
        stores.projects.save(Project(PROJECT, str(home), (Desk(DESK, QuestionKind.PAIR, 2, 1, 1),)))
        web = stack.enter_context(python(["-c", SERVE], settings))
        wait_for(settings.port)
        if busy:
            stack.enter_context(python(["-c", TRAIN], settings, stdout=subprocess.DEVNULL))
        credentials = Credentials.load_or_create(settings)
        requests = [request(settings, credentials, number) for number in range(1, sent + 1)]
        asyncio.run(send_at_rate(settings.port, requests[: 5 * rate], rate))  # warm up: imports, connections, torch
        stores.redis.delete(f"pal:{PROJECT}:events")
        if learn:
            ask(stores, sent)
            stack.enter_context(python(["-m", "worker", "--queue", "learn"], settings))
            until(lambda: stores.sittings(PROJECT).holder() is not None, 120)
        used, before = processor_seconds(web.pid), machine_ticks()
        answers = asyncio.run(send_at_rate(settings.port, requests, rate))
        stolen = {"stolen_percent": stolen_percent(before, machine_ticks())}
        spent = {"web_cpu_ms_per_event": round(1000 * (processor_seconds(web.pid) - used) / sent, 2)}
        # A sitting trims the stream of what it has folded in, so with one the answers are counted instead.
        effect = learned(stores, sent) if learn else kept(stores, sent)
        return report(answers, sent, rate, busy) | spent | stolen | effect | memory(web.pid)


def ask(stores: Stores, count: int) -> None:
    """Publish a first model version over random features, and have a pair asked by each of ``count`` tasks."""
    draw = np.random.default_rng(0)
    classes = draw.integers(0, 10, SAMPLES)
    features = (np.eye(16)[classes] + 0.3 * draw.standard_normal((SAMPLES, 16))).astype(np.float32)
    ids = tuple(f"{number:016x}" for number in range(SAMPLES))
    versions, questions = stores.versions(PROJECT), stores.questions(PROJECT)
    versions.write(Version("v0000", ids, features, "given", 0, "", {}), None, [])
    versions.make_current("v0000", None)
    for task in range(1, count + 1):
        first, second = draw.choice(SAMPLES, 2, replace=False)
        question = Question(QuestionKind.PAIR, ids[first], (ids[second],), round=task)
        questions.journal(question, DESK, time.time())
        questions.posted(question.id, task, time.time())


def learned(stores: Stores, sent: int) -> dict[str, Any]:
    """Wait until nothing is pending; say whether every event became an answer, and how soon it was in a revision."""
    until(lambda: not stores.events(PROJECT).pending(), 120)
    numbers = sorted(annotation.key.number for annotation in stores.answers(PROJECT).all())
    latencies = stores.revisions(PROJECT).latencies()
    return {
        "every_event_answered": numbers == list(range(1, sent + 1)),
        "median_s_to_revision": round(float(np.median(latencies)), 2) if latencies else None,
    }


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something comes true.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {seconds:g} s")
        time.sleep(0.1)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def python(arguments: list[str], settings: Settings, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child of ours with these settings, ended with the block."""
    environment = child_environment(settings)
    child = subprocess.Popen([sys.executable, *arguments], env=environment, **more)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(port: int) -> None:
    """Until something listens."""

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, 60)


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


def machine_ticks() -> list[int]:
    """Clock ticks of all processors since boot: user, nice, system, idle, iowait, irq, softirq, steal."""
    return [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def stolen_percent(before: list[int], after: list[int]) -> float:
    """Of the time in which this machine wanted to run, the share that its host gave to others; the tail follows it."""
    spent = [b - a for a, b in zip(before, after, strict=True)]
    wanted = sum(spent) - spent[3] - spent[4]
    return round(100 * spent[7] / max(1, wanted), 1)


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
