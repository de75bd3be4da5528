"""What sees texts: weighted words, files of features, functions of the user's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from pal_backend.choosing import Operator, settled
from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import Medium
from pal_backend.coverage import cover_pool
from pal_backend.errors import ConfigError, ConflictError, InputError
from pal_backend.pool_index import load_samples
from pal_backend.pool_manifest import ManifestPool
from pal_backend.samples import ingest
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version
from pal_backend.text_features import COLUMNS, text_backbone, text_features, weighted_words
from tests.pages import install

NAME = "news"
WORDS = (
    [
        "boat",
        "harbour",
        "wave",
        "wind",
        "pier",
        "sail",
        "anchor",
        "tide",
        "mast",
        "rope",
        "gull",
        "storm",
        "deck",
        "keel",
        "port",
    ],
    [
        "dough",
        "yeast",
        "loaf",
        "oven",
        "flour",
        "crust",
        "knead",
        "bake",
        "salt",
        "crumb",
        "rise",
        "butter",
        "wheat",
        "tin",
        "heat",
    ],
    [
        "bishop",
        "castle",
        "pawn",
        "endgame",
        "rook",
        "queen",
        "gambit",
        "board",
        "check",
        "draw",
        "knight",
        "file",
        "rank",
        "mate",
        "clock",
    ],
)


def written(count: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Sentences of three topics, eight words each, with common words between; and their topics."""
    rng = np.random.default_rng(seed)
    topics = [n % 3 for n in range(count)]
    texts = [" the ".join(rng.choice(WORDS[topic], 8)) + f" and {n}" for n, topic in enumerate(topics)]
    return texts, topics


class TextPool:
    """A manifest of texts that may grow."""

    def __init__(self, folder: Path, stores: Stores) -> None:
        self.stores, self.file = stores, folder / "texts.jsonl"

    def hold(self, texts: list[str]) -> None:
        """Let it hold these, and take them in."""
        self.file.write_text("".join(json.dumps({"text": text, "id": f"n{n}"}) + "\n" for n, text in enumerate(texts)))
        ingest(ManifestPool(self.file, Medium.TEXT), self.stores.artefacts, NAME, 8, medium=Medium.TEXT)

    def see(self, backbone: str = "tfidf", **options: Any) -> np.ndarray:
        """Features."""
        return text_features(self.stores.artefacts, NAME, backbone, **options)[0]


@pytest.fixture
def pool(stores: Stores, tmp_path: Path) -> TextPool:
    """Sixty texts."""
    made = TextPool(tmp_path, stores)
    made.hold(written(60)[0])
    return made


def module(monkeypatch: pytest.MonkeyPatch, function: Any) -> str:
    """The function, importable; its name as a backbone."""
    made = ModuleType("my_texts")
    made.see = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_texts", made)
    return "my_texts:see"


def test_weighted_words_tell_topics_apart() -> None:
    """Without an answer; the same texts give the same numbers."""
    texts, topics = written(300)
    features = weighted_words(texts)
    assert (features.shape, features.dtype) == ((300, COLUMNS), np.float32)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, rtol=1e-4)
    np.testing.assert_array_equal(features, weighted_words(texts))
    found = KMeans(3, n_init=5, random_state=0).fit_predict(features)
    assert adjusted_rand_score(topics, found) > 0.9


@pytest.mark.parametrize("texts", [["a"], ["a", "a b"], ["!", "?", "…"], ["同じ", "違う", "同じもの"], ["1", "2"]])
def test_few_or_strange_texts_have_features_too(texts: list[str]) -> None:
    """Finite, one row each."""
    features = weighted_words(texts)
    assert len(features) == len(texts)
    assert features.shape[1] >= 1
    assert np.isfinite(features).all()


def test_texts_that_join_leave_the_others_where_they_are(pool: TextPool) -> None:
    """Until the pool has doubled; and once something was trained on them, for ever."""
    first = pool.see()
    pool.hold(written(100)[0])
    second = pool.see()
    assert len(second) == 100
    np.testing.assert_array_equal(second[:60], first)
    pool.hold(written(130)[0])
    np.testing.assert_array_equal(pool.see(refit=False)[:60], first)
    pool.hold(written(140)[0])
    assert not np.array_equal(pool.see()[:60], first)


def test_a_function_of_the_user_sees_new_texts_only(pool: TextPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen is kept with the pool, until another backbone is chosen."""
    seen: list[int] = []

    def see(texts: list[str]) -> list[list[float]]:
        seen.append(len(texts))
        return [[len(text), text.count("the")] for text in texts]

    name = module(monkeypatch, see)
    assert pool.see(name).shape == (60, 2)
    pool.hold(written(70)[0])
    pool.see(name)
    pool.see(name)
    assert seen == [2, 60, 2, 10]
    pool.see("tfidf")
    pool.see(name)
    assert seen[-1] == 70


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda texts: np.zeros((1, 3)), r"gave an array \(1, 3\) for 2 texts"),
        (lambda texts: np.full((len(texts), 2), np.nan), "not finite"),
        (lambda texts: np.zeros(len(texts)), r"gave an array \(2,\)"),
        (lambda texts: 1 / 0, "failed on 2 texts: ZeroDivisionError"),
        (lambda texts: "abc", "failed on 2 texts: ValueError"),
    ],
)
def test_a_function_that_does_not_what_it_should_is_told(
    monkeypatch: pytest.MonkeyPatch, function: Any, message: str
) -> None:
    """When it is chosen, on two texts."""
    with pytest.raises(ConfigError, match=message):
        text_backbone(module(monkeypatch, function))


def test_the_example_of_the_docs_works(pool: TextPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package in docs/pools.md registers a function, which is found by its name."""
    page = (Path(__file__).parent.parent / "docs" / "pools.md").read_text("utf-8")
    folder = tmp_path / "installed"
    folder.mkdir()
    name = install(page, "pal_backend.text_backbones", folder, monkeypatch)
    assert pool.see(name).shape[0] == 60
    with pytest.raises(InputError, match=f"'nobody' is not known; use one of tfidf, .*{name}"):
        text_backbone("nobody")
    with pytest.raises(InputError, match="is no function of texts"):
        text_backbone("small")


def test_features_from_a_file_may_name_texts_as_the_team_does(pool: TextPool, tmp_path: Path) -> None:
    """By the manifest's ids; version 0 holds them as they are."""
    np.save(tmp_path / "f.npy", np.arange(120, dtype=np.float32).reshape(60, 2))
    (tmp_path / "f.txt").write_text("".join(f"n{n}\n" for n in range(60)))
    version = cover_pool(pool.stores, NAME, "cpu", Choice(backbone=f"features:{tmp_path / 'f.npy'}"))
    assert version is not None
    np.testing.assert_array_equal(version.features, np.arange(120, dtype=np.float32).reshape(60, 2))


def test_version_0_of_texts_is_weighted_words_and_grows(pool: TextPool) -> None:
    """Without a word about backbones; made once."""
    version = cover_pool(pool.stores, NAME, "cpu")
    assert version is not None
    assert (version.note, version.features.shape[0]) == ("tfidf as it comes", 60)
    assert cover_pool(pool.stores, NAME, "cpu") is None
    pool.hold(written(80)[0])
    grown = cover_pool(pool.stores, NAME, "cpu")
    assert grown is not None
    np.testing.assert_array_equal(grown.features[:60], version.features)
    assert grown.sample_ids == tuple(sample.id for sample in load_samples(pool.stores.artefacts, NAME))


def test_new_texts_are_seen_through_what_was_trained(pool: TextPool) -> None:
    """A linear map that learned on the answers is kept when texts join."""
    from pal_backend.core.learning.backbones import Tuning, given
    from pal_backend.core.learning.graph import build_training_graph
    from pal_backend.core.learning.settings import TrainingSettings
    from pal_backend.core.learning.training import train
    from pal_backend.core.neighbours import build_space
    from pal_backend.core.recipes import DEFAULT

    versions = pool.stores.versions(NAME)
    before = cover_pool(pool.stores, NAME, "cpu", Choice(tuning="head"))
    assert before is not None
    graph = build_training_graph(build_space(before.sample_ids, before.features), [], recipe=DEFAULT)
    settings = TrainingSettings.of(DEFAULT, epochs=1, batch=16, device="cpu")
    trained = train(pool.see(), graph, settings, backbone=given, tuning=Tuning.HEAD)
    metrics = {"backbone": "tfidf", "tuning": "head"}
    version = Version(versions.next_id(), before.sample_ids, trained.features, "simclr", 0, "trained", metrics)
    versions.write(version, trained.weights, [])
    versions.make_current(version.id, before.id)
    pool.hold(written(140)[0])
    grown = cover_pool(pool.stores, NAME, "cpu", Choice(tuning="head"))
    assert grown is not None
    assert grown.features.shape == (140, trained.features.shape[1])
    pool.hold(written(150)[0])
    np.save(pool.file.with_name("f.npy"), np.zeros((150, pool.see(refit=False).shape[1]), np.float32))
    pool.file.with_name("f.txt").write_text("".join(f"n{n}\n" for n in range(150)))
    other = Choice(backbone=f"features:{pool.file.with_name('f.npy')}", tuning="head")
    with pytest.raises(ConflictError, match="made with the backbone 'tfidf'"):
        cover_pool(pool.stores, NAME, "cpu", other)  # of the same width, and yet nothing that these weights know


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(backbone="small"), "'small' is for images"),
        (Choice(backbone="torchvision:resnet18"), "is for images"),
        (Choice(backbone="tfidf", weights="w.pt"), "with weights is for images"),
        (Choice(tuning="full"), "tuning full on texts"),
        (Choice(recipe="gps-simclr"), "recipe 'gps-simclr' with tuning frozen on texts"),
    ],
)
def test_what_cannot_see_texts_is_refused(choice: Choice, message: str) -> None:
    """There are no views of texts, so that the networks and recipes of images have nothing to learn from."""
    with pytest.raises(InputError, match=message):
        choice.check(Medium.TEXT)


def test_choices_for_texts_are_completed_for_texts() -> None:
    """And those for images as before."""
    assert Choice().check(Medium.TEXT) == Choice("simclr", "tfidf", "", "frozen")
    assert Choice(backbone="my.own:thing", tuning="head").check(Medium.TEXT).tuning == "head"
    with pytest.raises(InputError, match="tfidf is for texts"):
        Choice(backbone="tfidf").check()


def test_the_environments_defaults_are_for_images(stores: Stores) -> None:
    """A text project beside image projects learns in its own way."""
    operator = Operator(defaults=Choice("gps-simclr", "torchvision:resnet18", "w.pt", "head"))
    found = settled(Project("news", "/texts", (), medium=Medium.TEXT), stores, operator)
    assert found.choice == Choice("simclr", "tfidf", "", "frozen")
