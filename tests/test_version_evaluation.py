"""``pal evaluate``: figures by classes and by held-out answers, for a folder and for a project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pal_backend.core import evaluation
from pal_backend.core.learner import Learner
from pal_backend.core.learning.judging import held_out
from pal_backend.core.vocabulary import Annotation, Answer, QuestionKind
from pal_backend.errors import InputError, NotFoundError
from pal_backend.simulation import Annotator, answered
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version, files_of
from pal_backend.version_evaluation import UNKNOWN, evaluate, labels_of, load
from tests.core.worlds import clusters

SPACE, LABELS = clusters(groups=4, each=25)
VERSION = Version("v0001", SPACE.sample_ids, SPACE.features, "simclr", 60, "", {})


def said(count: int = 60) -> list[Answer]:
    """Right answers to what the learner asks."""
    return answered(Learner(SPACE), Annotator(LABELS, SPACE.index, 0.0, np.random.default_rng(0)), count)


def kept(answers: list[Answer]) -> list[Annotation]:
    """Each as an annotation."""
    return [Annotation(a.annotation, 1, "", a.annotator, a.updated_at, (a,)) for a in answers]


def test_every_figure_is_that_of_its_function() -> None:
    """Probe, neighbours and k-means on one held-out fifth; groups as a learner believes; all in JSON."""
    found = evaluate(VERSION, said(), LABELS)
    held = evaluation.held_out_rows(np.ones(100, bool))
    by = found.by_classes
    assert by is not None and (by.samples, by.classes, by.held_out) == (100, 4, 20)
    assert by.probe == evaluation.linear_probe(SPACE.features, LABELS, held)
    assert by.knn == evaluation.knn_accuracy(SPACE.features, LABELS, held)
    assert by.kmeans_ari == evaluation.kmeans_ari(SPACE.features, LABELS)
    assert by.beliefs_ari is not None and by.beliefs_ari > 0.9
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["by_classes"]["probe"] == by.probe


def test_calibration_is_on_answers_the_learner_was_not_given() -> None:
    """As many pairs as are held out, judged without them; without answers there is none."""
    answers = said()
    found = evaluate(VERSION, answers)
    assert found.by_classes is None and found.calibration is not None
    assert found.calibration.pairs == len({a.pair for a in answers if held_out(a.pair)})
    assert found.calibration.brier < 0.25
    assert evaluate(VERSION, []).calibration is None
    by = evaluate(VERSION, [], LABELS).by_classes
    assert by is not None and by.beliefs_ari is None and by.groups is None


def test_samples_without_a_class_are_left_out() -> None:
    """Half of the classes known: the figures are over those samples."""
    some = np.where(np.arange(100) % 2, LABELS, UNKNOWN)
    by = evaluate(VERSION, said(), some).by_classes
    assert by is not None and (by.samples, by.held_out, by.classes) == (50, 10, 4)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS[:-1], r"labels of shape \(99,\) do not fit 100 samples"),
        (np.zeros(100, np.int64), "of 1 classes tell nothing"),
        (np.full(100, UNKNOWN), "0 samples of 0 classes"),
    ],
)
def test_labels_that_tell_nothing_are_refused(labels: np.ndarray, words: str) -> None:
    """With what was found and what was expected."""
    with pytest.raises(InputError, match=words):
        evaluate(VERSION, [], labels)


def test_classes_are_matched_by_sample() -> None:
    """Whatever the order of a folder, each row gets the class of its image; a folder of others is refused."""
    known = dict(zip(reversed(SPACE.sample_ids), reversed(LABELS.tolist()), strict=True))
    known.pop(SPACE.sample_ids[3])
    found = labels_of(VERSION, known)
    assert found[3] == UNKNOWN and (np.delete(found, 3) == np.delete(LABELS, 3)).all()
    with pytest.raises(InputError, match="no image of this version"):
        labels_of(VERSION, {"x": 1})


def test_a_folder_is_loaded_with_its_answers(tmp_path: Path) -> None:
    """A version's folder needs nothing else; one without version.json is not a version."""
    with pytest.raises(NotFoundError, match="the folder of a finished version"):
        load(str(tmp_path))
    answers = said(10)
    for name, data in files_of(VERSION, None, kept(answers)).items():
        (tmp_path / name).write_bytes(data)
    version, found, pool = load(str(tmp_path))
    assert (version.id, found, pool) == ("v0001", answers, "")


def test_a_project_is_its_current_version_with_todays_answers(stores: Stores) -> None:
    """The answers are those that came since, too; without a version it says so."""
    stores.projects.save(Project("birds", "/pool", (Desk("simulated", QuestionKind.PAIR, 7, 1, 1),)))
    with pytest.raises(NotFoundError, match="no model version yet"):
        load("birds", stores)
    versions = stores.versions("birds")
    versions.write(VERSION, None, [])
    versions.make_current("v0001", expected=None)
    answers = said(5)
    stores.answers("birds").put(kept(answers))
    version, found, pool = load("birds", stores)
    assert (version.id, pool) == ("v0001", "/pool")
    assert sorted(found) == sorted(answers)
