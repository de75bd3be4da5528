"""One stack for each test module: Label Studio is shared, everything of ours is fresh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pal_backend.label_studio_values import DRAFTS_FLAG
from tests.e2e.stack import Stack, running_stack
from tests.label_studio_server import LabelStudioServer, required_label_studio

TASK_LOCK_SECONDS = 300
"""As in the demo: while a person looks at a question nobody else gets it."""


@pytest.fixture(scope="session")
def label_studio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudioServer]:
    """A running Label Studio, the same for all end-to-end tests; it imports drafts, as the demo's does."""
    data = tmp_path_factory.mktemp("label-studio")
    with required_label_studio(request, data, TASK_LOCK_SECONDS, {DRAFTS_FLAG: "true"}) as server:
        yield server


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, label_studio: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Redis, web and worker around a real Label Studio, with a project of the module's name."""
    project = request.module.__name__.rpartition(".test_")[2].replace("_", "-")
    with running_stack(label_studio, tmp_path_factory.mktemp("home"), project) as stack:
        yield stack
