"""The adapter, hosted by label-studio-ml's own server."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from label_config import render
from label_config.results import pair_result
from pal_backend import wire
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.web_side import SAMPLES, WebSide

pytest.importorskip("label_studio_ml", reason="label-studio-ml is installed by `make`, beside our own requirements")

PAIR = Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[1],), probabilities=(0.9,), informativeness=0.75)
RECORDINGS = Path(__file__).parent / "recordings"


def recorded(name: str, number: int = 0) -> Any:
    """The body of one recorded request."""
    (file,) = RECORDINGS.glob(name + "_*.json")
    return json.loads(file.read_text())["requests_sent_by_label_studio"][number]["body"]


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebSide:
    """The web side, named by the environment, with a question on task 1."""
    for variable, value in settings.to_env().items():
        monkeypatch.setenv(variable, value)
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    side.post_question(PAIR, 1, score=0.3, probabilities=(0.9,))
    return side


@pytest.fixture
def client(web: WebSide, tmp_path: Path) -> Any:
    """A client of label-studio-ml's server that hosts the adapter."""
    from label_studio_ml.api import init_app

    from pal_backend.ml_model import PalModel

    (tmp_path / "models").mkdir()
    app = init_app(model_class=PalModel, model_dir=str(tmp_path / "models"))
    return app.test_client()


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


def test_hosted_predictions_are_those_of_the_service(client: Any) -> None:
    """After a set-up, a recorded predict is answered with the journal's score and our version."""
    assert client.get("/health").json["status"] == "UP"
    assert client.post("/setup", json=recorded("04", 1)).status_code == 200
    answer = client.post("/predict", json=recorded("10", 2))
    assert answer.status_code == 200
    guess = [{**pair_result("Same")[0], "score": 0.9}]
    assert answer.json["results"] == [{"result": guess, "score": 0.3, "model_version": "v0000"}]


def test_a_hosted_webhook_reaches_the_stream(client: Any, web: WebSide) -> None:
    """An annotation and a deletion sent to the hosted /webhook, which works in another process, stand in the stream."""
    assert client.post("/webhook", json=recorded("24")).status_code == 201
    assert eventually(lambda: len(web.stream()) == 1), "the annotation did not arrive"
    assert client.post("/webhook", json=recorded("31")).status_code == 201
    assert eventually(lambda: len(web.stream()) == 2), "the deletion did not arrive"
    (desk, submitted), (_, deleted) = web.stream()
    assert desk == "pairs"
    assert submitted == wire.parse_event(recorded("24"))
    assert deleted == wire.Deleted((1,), project=2)


def test_both_ways_of_calling_fit(web: WebSide) -> None:
    """1.0.9 names the event, 2.x gives it first; both leave the same event, and nothing is trained."""
    from pal_backend.ml_model import PalModel

    model = PalModel(label_config=render.pair_config())
    body = recorded("24")
    data = {key: value for key, value in body.items() if key != "action"}
    assert model.fit((), event="ANNOTATION_CREATED", data=data, job_id="1", workdir="/tmp") == {}
    assert model.fit("ANNOTATION_CREATED", data) == {}
    assert model.fit((), workdir="/tmp") == {}
    assert [event for _, event in web.stream()] == [wire.parse_event(body)] * 2


def test_events_of_strangers_do_no_harm(web: WebSide, caplog: pytest.LogCaptureFixture) -> None:
    """An event that says not whose it is, or nonsense, is a warning: no traceback goes back to Label Studio."""
    from pal_backend.ml_model import PalModel

    model = PalModel(label_config=render.pair_config())
    for event, data in (("ANNOTATION_CREATED", None), ("ANNOTATION_CREATED", {"annotation": 5, "project": {"id": 2}})):
        assert model.process_event(event, data, "1", {}) == {}
    assert web.stream() == []
    assert caplog.text.count("was not taken in") == 2


def test_every_task_has_its_prediction(web: WebSide) -> None:
    """Tasks that are not ours, or no tasks at all, are answered one for one."""
    from pal_backend.ml_model import PalModel

    model = PalModel(label_config=render.pair_config())
    found = model.predict([{"id": 1, "project": 2}, {"id": 9, "project": 2}, None])
    assert [one["score"] for one in found] == [0.3, 1.0, 1.0]
    assert model.predict([]) == []


LIKE_NEWER = """
import json, sys, types

class LabelStudioMLBase:
    def __init__(self, project_id=None, label_config=None):
        self.kept, self.project_id, self.label_config = {}, project_id or "", label_config
        self.setup()
    def get(self, key):
        return self.kept.get(key)
    def set(self, key, value):
        self.kept[key] = value

package, module = types.ModuleType("label_studio_ml"), types.ModuleType("label_studio_ml.model")
module.LabelStudioMLBase = LabelStudioMLBase
sys.modules |= {"label_studio_ml": package, "label_studio_ml.model": module}

from pal_backend.ml_model import NEWER, PalModel
assert NEWER
body = json.load(sys.stdin)
model = PalModel("2", label_config=body["project"]["label_config"])
assert model.get("model_version") == "v0000", model.kept
assert model.fit(body.pop("action"), body) == {}
assert model.predict([{"id": 1, "project": 2}], context={}, login=None, password=None)[0]["score"] == 0.3
assert "torch" not in sys.modules
"""


def test_the_newer_base_class_hosts_it_too(web: WebSide) -> None:
    """A base class with 2.x's constructor, setup() and way of calling fit works, and torch is not imported."""
    environment = {**web.settings.to_env(), "PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", LIKE_NEWER],
        input=json.dumps(recorded("24")),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert [event for _, event in web.stream()] == [wire.parse_event(recorded("24"))]


def test_the_adapter_overrides_what_the_base_calls(web: WebSide) -> None:
    """The installed base class has the methods that the adapter overrides."""
    from label_studio_ml.model import LabelStudioMLBase

    assert {"predict", "fit", "process_event"} <= {name for name, _ in inspect.getmembers(LabelStudioMLBase)}
