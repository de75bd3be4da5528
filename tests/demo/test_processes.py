"""The supervisor with small real children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pal_backend.demo.descendants import Process, alive, descendants
from pal_backend.demo.processes import Program, Supervisor
from pal_backend.errors import UnavailableError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the leash and /proc are Linux's")

SLEEP = "import time; time.sleep(600)"
PARENT_OF_SESSION = (
    "import os, subprocess, sys, time\n"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)\n"
)
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor whose children never outlive the test."""
    supervisor = Supervisor(tmp_path / "logs")
    yield supervisor
    supervisor.stop(hurry=lambda: True)


def python(name: str, code: str, grace: float = 5.0) -> Program:
    """A child that runs Python code."""
    return Program(name, [sys.executable, "-c", code], dict(os.environ), grace)


def eventually(condition, seconds: float = 10.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def gone(pid: int) -> bool:
    """Whether no process but perhaps a zombie has this number."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_stops_in_the_opposite_order(tmp_path: Path, supervisor: Supervisor) -> None:
    """The last one started is gone before the one before it is asked to stop."""
    ends = tmp_path / "ends"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.3)\n"
        f"    open({str(ends)!r}, 'a').write(sys.argv[1])\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)\n"
    )
    for name in "abc":
        child = supervisor.start(Program(name, [sys.executable, "-c", code, name], dict(os.environ)))
        assert eventually(lambda child=child: "up" in child.output())
    supervisor.stop()
    assert ends.read_text() == "cba"
    assert supervisor.children == ()


def test_kills_a_child_that_ignores_sigterm(supervisor: Supervisor) -> None:
    """After its grace a deaf child is killed."""
    child = supervisor.start(python("deaf", DEAF, grace=0.3))
    assert eventually(lambda: "deaf" in child.output())
    started = time.monotonic()
    supervisor.stop()
    assert gone(child.pid)
    assert 0.3 <= time.monotonic() - started < 5


def test_grandchildren_in_other_sessions_end_too(supervisor: Supervisor) -> None:
    """A forked job that made a session of its own does not outlive the worker's supervisor."""
    child = supervisor.start(python("worker", PARENT_OF_SESSION))
    assert eventually(lambda: child.output().strip().isdigit())
    grandchild = int(child.output())
    assert not gone(grandchild)
    supervisor.stop()
    assert gone(grandchild)


def test_says_who_ended_and_shows_its_log(supervisor: Supervisor) -> None:
    """The error names the child, its exit code, its log file and the end of what it said."""
    child = supervisor.start(python("Label Studio", "print('no such table'); raise SystemExit(3)"))
    assert eventually(lambda: child.ended() is not None)
    with pytest.raises(UnavailableError) as caught:
        supervisor.check()
    message = str(caught.value)
    assert message.startswith("Label Studio ended with exit code 3; the end of ")
    assert str(child.log_file) in message
    assert message.endswith("no such table")


def test_shows_only_this_run_of_the_log(tmp_path: Path) -> None:
    """Logs are appended to, and a tail never shows an earlier run."""
    for text in ("first", "second"):
        supervisor = Supervisor(tmp_path)
        child = supervisor.start(python("web", f"print({text!r})"))
        assert eventually(lambda child=child: child.ended() is not None)
        assert child.tail() == text
    assert (tmp_path / "web.log").read_text() == "first\nsecond\n"


def test_children_do_not_get_ctrl_c(supervisor: Supervisor) -> None:
    """Each child has a session of its own, so the terminal's Ctrl-C reaches the supervisor alone."""
    child = supervisor.start(python("web", SLEEP))
    assert eventually(lambda: os.getsid(child.pid) == child.pid)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_children_die_with_their_parent(tmp_path: Path, sig: signal.Signals) -> None:
    """Even if the parent is killed outright its children get SIGTERM."""
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from pal_backend.demo.processes import Program, Supervisor\n"
        f"child = Supervisor(Path({str(tmp_path)!r})).start(\n"
        f"    Program('child', [sys.executable, '-c', {SLEEP!r}], dict(os.environ)))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # Until then the child may still be on its way through the leash.
        assert eventually(lambda: b"time.sleep" in Path(f"/proc/{child}/cmdline").read_bytes())
        assert eventually(lambda: b"leash" not in Path(f"/proc/{child}/cmdline").read_bytes())
        parent.send_signal(sig)
        parent.wait()
    assert eventually(lambda: gone(child))


def test_a_process_is_not_mistaken_for_a_later_one() -> None:
    """Number and start time together name a process."""
    (me,) = [p for p in descendants(os.getppid()) if p.pid == os.getpid()]
    assert alive(me)
    assert not alive(Process(me.pid, me.started + 1))
