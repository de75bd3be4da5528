"""Samples that join a pool later, and samples that leave it: versions, groups, answers and questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from pal_backend.core.asking.state import Spared
from pal_backend.core.asking.strategies import STRATEGIES
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import AnnotationKey, Answer, Purpose, Question, QuestionKind, Verdict
from pal_backend.coverage import cover_pool
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import load_near, load_samples, load_withdrawn
from pal_backend.samples import IngestReport, ingest
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

NAME = "digits"
ANSWERS = 200
FIRST, ALL = 500, 600


@dataclass
class Growing:
    """Digits as files, taken in bit by bit; the classes are for whoever answers and scores."""

    stores: Stores
    folder: Path

    def __post_init__(self) -> None:
        self.pixels, self.digits = load_digits(return_X_y=True)
        self.folder.mkdir()
        self.labels: dict[str, int] = {}

    def add(self, start: int, end: int) -> IngestReport:
        """More of them."""
        for row in range(start, end):
            grey = Image.fromarray((255 - self.pixels[row].reshape(8, 8) * 255 / 16).astype(np.uint8))
            grey.resize((24, 24), Image.Resampling.BICUBIC).save(self.folder / f"{row:04d}.png")
        return self.take()

    def take(self) -> IngestReport:
        """Look at the folder."""
        report = ingest(FolderPool(self.folder), self.stores.artefacts, NAME, 24)
        for sample in load_samples(self.stores.artefacts, NAME):
            self.labels[sample.id] = int(self.digits[int(Path(sample.paths[0]).stem)])
        return report

    def cover(self) -> Version:
        """The current version, with all of the pool."""
        cover_pool(self.stores, NAME, "cpu")
        versions = self.stores.versions(NAME)
        return versions.load(versions.current_or_fail())

    def answer(self, question: Question, number: int) -> list[Answer]:
        """A person's right answers to a question."""
        return [
            Answer(
                AnnotationKey("pairs", number),
                pair,
                Verdict.SAME if self.labels[pair.first] == self.labels[pair.second] else Verdict.DIFFERENT,
                "7",
                number,
                candidate=candidate,
                purpose=question.purpose,
            )
            for pair, candidate in zip(question.pairs, question.candidates, strict=True)
        ]

    def agreement(self, learner: Learner, samples: Sequence[str]) -> float:
        """Adjusted Rand index of the groups of some samples."""
        posterior = learner.posterior()
        groups = dict(zip(posterior.sample_ids, posterior.assignment()[0].tolist(), strict=True))
        return float(adjusted_rand_score([self.labels[one] for one in samples], [groups[one] for one in samples]))


@pytest.fixture
def growing(stores: Stores, tmp_path: Path) -> Growing:
    """Nothing yet."""
    return Growing(stores, tmp_path / "pool")


def learner_of(version: Version) -> Learner:
    """Without an answer."""
    return Learner(build_space(version.sample_ids, version.features))


def test_a_fifth_more_samples_join_and_nothing_is_lost(growing: Growing) -> None:
    """After 200 answers: the old samples stay where they are, groups keep their ids, and the new ones are asked about."""
    growing.add(0, FIRST)
    before = growing.cover()
    learner = learner_of(before)
    for number in range(1, ANSWERS + 1):
        (question,) = learner.ask(1)
        learner.update(growing.answer(question, number), ())
    groups, old = set(learner.posterior().groups), list(before.sample_ids)
    agreed = growing.agreement(learner, old)
    assert (report := growing.add(FIRST, ALL)).new == ALL - FIRST, report
    after = growing.cover()
    assert after.sample_ids[: len(old)] == before.sample_ids
    np.testing.assert_allclose(after.features[: len(old)], before.features, atol=1e-4)
    learner.move_to(build_space(after.sample_ids, after.features))
    assert learner.answers == ANSWERS
    assert set(learner.posterior().groups) == groups
    assert growing.agreement(learner, old) >= agreed - 0.005
    new = set(after.sample_ids[len(old) :])
    asked = learner.ask(40)
    assert any(new.intersection(question.candidates) for question in asked)
    for number, question in enumerate(asked, start=ANSWERS + 1):
        learner.update(growing.answer(question, number), ())
    assert growing.agreement(learner, sorted(new)) > 0.7


def test_components_are_fitted_anew_once_a_pool_has_doubled(growing: Growing) -> None:
    """What was fitted on a handful must not stay for ever; until then the old samples stay where they are."""
    growing.add(0, 60)
    first = growing.cover()
    growing.add(60, 90)
    second = growing.cover()
    growing.add(90, 110)
    third = growing.cover()
    assert [version.metrics["fitted_on"] for version in (first, second, third)] == [60, 60, 60]
    np.testing.assert_allclose(third.features[:60], first.features, atol=1e-4)
    growing.add(110, 120)
    assert growing.cover().metrics["fitted_on"] == 120


@pytest.mark.parametrize(
    ("strategy", "kind"), [*((name, QuestionKind.PAIR) for name in sorted(STRATEGIES)), ("gain", QuestionKind.SCREEN)]
)
def test_nobody_is_asked_about_what_was_withdrawn(growing: Growing, strategy: str, kind: QuestionKind) -> None:
    """By no strategy, in no kind of question, checks among them; its answers stand, and open questions on it are moot."""
    growing.add(0, 120)
    version = growing.cover()
    learner = Learner(build_space(version.sample_ids, version.features), strategy=strategy)
    for number in range(1, 31):
        (question,) = learner.ask(1)
        learner.update(growing.answer(question, number), ())
    posterior = learner.posterior()
    gone = {sample.id for sample in load_samples(growing.stores.artefacts, NAME)[::2]}
    open_before = learner.ask(6, kind=kind)
    assert learner.spare(Spared(withdrawn=frozenset(gone)))
    assert not learner.spare(Spared(withdrawn=frozenset(gone)))
    for question in open_before:
        assert learner.value(question)[2] or not gone.intersection(question.samples)
    asked = learner.ask(30, kind=kind)
    assert asked or strategy != "gain"
    assert not gone.intersection(sample for question in asked for sample in question.samples)
    assert (learner.answers, learner.posterior().groups) == (30, posterior.groups)
    assert learner.spare(Spared())


def test_the_first_question_avoids_what_was_withdrawn(growing: Growing) -> None:
    """Before any answer, when typical samples are compared, and also where all of these are gone."""
    growing.add(0, 60)
    version = growing.cover()
    learner = learner_of(version)
    typical = {version.sample_ids[row] for row in learner.space.medoids[0].tolist()}
    learner.spare(Spared(withdrawn=frozenset(typical)))
    (question,) = learner.ask(1)
    assert not typical.intersection(question.samples)


def test_near_duplicates_are_asked_about_last(growing: Growing) -> None:
    """They stay samples of their own, with beliefs of their own; their group follows from their twin's place."""
    growing.add(0, 80)
    for path in sorted(growing.folder.iterdir())[:20]:
        Image.open(path).resize((48, 48), Image.Resampling.LANCZOS).save(growing.folder / f"{path.stem}.bmp")
    assert growing.take().samples == 100
    near = load_near(growing.stores.artefacts, NAME)
    paths = {sample.id: sample.paths[0] for sample in load_samples(growing.stores.artefacts, NAME)}
    assert len(near) >= 15
    assert all(Path(paths[a]).stem == Path(paths[b]).stem for a, b in near.items())
    version = growing.cover()
    learner = learner_of(version)
    learner.spare(Spared(twins=frozenset(near)))
    for number in range(1, 61):
        (question,) = learner.ask(1)
        assert question.purpose is Purpose.VERIFY or question.candidates[0] not in near  # checks are uniform
        learner.update(growing.answer(question, number), ())
    assignment = dict(zip(version.sample_ids, learner.posterior().assignment()[0].tolist(), strict=True))
    assert np.mean([assignment[a] == assignment[b] for a, b in near.items()]) > 0.9


def test_withdrawn_samples_are_listed_and_come_back(growing: Growing) -> None:
    """What left the folder is noted for the sittings; the same file put back is the same sample."""
    growing.add(0, 20)
    path = growing.folder / "0003.png"
    data = path.read_bytes()
    path.unlink()
    assert growing.take().missing == 1
    (gone,) = load_withdrawn(growing.stores.artefacts, NAME)
    path.write_bytes(data)
    report = growing.take()
    assert (report.missing, report.new, report.samples) == (0, 0, 20)
    assert not load_withdrawn(growing.stores.artefacts, NAME)
    assert load_samples(growing.stores.artefacts, NAME)[3].id == gone


def test_a_pool_that_did_not_change_is_not_written_again(growing: Growing) -> None:
    """Workers look every hour; a pool of a hundred thousand samples is hundreds of megabytes."""
    growing.add(0, 20)
    written: list[str] = []
    write = growing.stores.artefacts.write_file

    def noting(path: str, data: bytes) -> None:
        written.append(path)
        write(path, data)

    growing.stores.artefacts.write_file = noting  # type: ignore[method-assign]
    growing.take()
    assert [path.rpartition("/")[2] for path in written] == ["quarantine.jsonl"]
