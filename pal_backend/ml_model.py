"""For people who host models with ``label-studio-ml``: the same service behind its ``LabelStudioMLBase``.

::

    from label_studio_ml.api import init_app
    from pal_backend.ml_model import PalModel

    app = init_app(model_class=PalModel)

Runs on label-studio-ml 1.0.9 and 2.x. Its server knows one bare URL for all projects, so a desk is found by the number of
its Label Studio project. Our own server (``pal serve``) says more and loses less: 1.0.9 has no password, starts a process
for each event and hides START_TRAINING's job; 2.x passes on neither deletions nor several annotations at once (a
reconcile finds those).
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from label_studio_ml.model import LabelStudioMLBase

from pal_backend import wire
from pal_backend.bootstrap import build_service
from pal_backend.errors import PalError
from pal_backend.service import Address, Service
from pal_backend.settings import Settings

log = logging.getLogger(__name__)

BARE = Address()
NEWER = "project_id" in inspect.signature(LabelStudioMLBase.__init__).parameters
"""2.x. Trying and catching TypeError would not tell: 1.0.9 takes project_id among its other keywords."""


@lru_cache(maxsize=4)
def service_of(settings: Settings) -> Service:
    """The service of these settings; both servers make a new model for every request, which must not connect anew."""
    return build_service(settings)


class PalModel(LabelStudioMLBase):  # type: ignore[misc]  # the base is untyped
    """Forwards what ``label-studio-ml`` is asked to the service that the environment names."""

    def __init__(
        self,
        project_id: str | None = None,
        label_config: str | None = None,
        train_output: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        self._service = service_of(Settings.from_env())
        if NEWER:
            super().__init__(project_id=project_id, label_config=label_config)
        else:
            super().__init__(label_config=label_config, train_output=train_output, **more)

    def setup(self) -> None:
        """Called by 2.x at the end of its constructor: Label Studio is to hear the version that predictions carry."""
        request = wire.parse_setup({"project": self.project_id, "schema": self.label_config})
        version = self._service.setup(BARE, request)
        if self.get("model_version") != version:
            self.set("model_version", version)

    def predict(self, tasks: Sequence[Any], context: Any = None, **more: Any) -> list[dict[str, Any]]:
        """One prediction for each task, in order."""
        project = next((task.get("project") for task in tasks if isinstance(task, dict)), None)
        body = {"tasks": list(tasks), "project": project, "label_config": self.label_config}
        request = wire.parse_tasks(body)
        predictions = wire.predictions_json(self._service.predict(BARE, request), request.label_config)
        results: list[dict[str, Any]] = predictions["results"]
        return results

    def fit(self, *args: Any, event: str | None = None, data: Any = None, **more: Any) -> dict[str, Any]:
        """Take an event in: 2.x calls ``fit(event, data)``, 1.0.9 ``fit((), event=…, data=…, …)``. Nothing is trained here."""
        if args and isinstance(args[0], str):
            event, data = args[0], args[1]
        if event is not None:
            self._record(event, data)
        return {}

    def process_event(self, event: str, data: Any, job_id: str, additional_params: Any) -> dict[str, Any]:
        """Take any event in; the base class would pass on four kinds, and deletions are not among them."""
        self._record(event, data)
        return {}

    def _record(self, event: str, data: Any) -> None:
        body = {**(data if isinstance(data, dict) else {}), "action": event}
        try:
            self._service.record(BARE, wire.parse_event(body), time.time())
        except PalError as problem:
            # Both servers would send the traceback back; the event itself is found again by a reconcile.
            log.warning("%s was not taken in: %s", event, problem)
