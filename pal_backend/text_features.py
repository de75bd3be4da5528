"""What sees texts: weighted words, a file of features, or a function of the user's. What it saw is kept with the pool.

A package offers its own in its ``pyproject.toml``::

    [project.entry-points."pal_backend.text_backbones"]
    sentences = "my_package.texts:embed"

The function takes a list of texts and gives an array, (texts, D), floats, a row for each text whatever the others are. It
is imported where :mod:`pal_backend.choosing` lets its name come this far, never in the web process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pal_backend.backbones import imported
from pal_backend.core import plugged
from pal_backend.core.choice import TFIDF, BackboneName, Source
from pal_backend.errors import ConfigError, InputError, NotFoundError
from pal_backend.given_features import MAX_WIDTH, given_features
from pal_backend.pool_index import load_samples, load_texts, pool_file
from pal_backend.store.artefacts import Artefacts

GROUP = "pal_backend.text_backbones"
"""Entry points of this group are functions from texts to features."""
SIGNATURE = "(texts: list[str]) -> array (texts, D)"
REFIT = 2.0
"""Words are weighed anew when the pool has grown by this factor before anything was trained."""
COLUMNS = 100
"""Of the reduced words; what Deerwester et al. 1990, "Indexing by Latent Semantic Analysis", found enough."""
CHUNK = 256
"""Texts that a function is given at a time."""

Floats = NDArray[np.float32]


def text_features(artefacts: Artefacts, project: str, backbone: str, *, refit: bool = True) -> tuple[Floats, str]:
    """Features of the pool's texts, float32 (N, D), in the order of its samples, and the words that tell what they are.

    What was seen before stays as it is while the backbone is the same; only new texts are looked at.

    Args:
        artefacts: where the pool is kept.
        project: whose.
        backbone: ``tfidf``, ``features:FILE.npy``, an installed function or ``package.module:function``.
        refit: whether words may be weighed anew when the pool has doubled; not once something was trained on them.

    Raises:
        PalError: the backbone cannot be used.
    """
    samples, texts = load_samples(artefacts, project), load_texts(artefacts, project)
    name = BackboneName.parse(backbone)
    if name.source is Source.FEATURES:
        return given_features(Path(name.name), samples), f"the features of {name.name}"
    kept, fitted_on = _kept(artefacts, project, backbone)
    if name.source is Source.TFIDF:
        again = len(kept) == 0 or (refit and len(texts) >= REFIT * fitted_on)
        fitted_on = len(texts) if again else fitted_on
        start = 0 if again else len(kept)
        fresh = weighted_words(texts, fitted_on)[start:] if start < len(texts) else kept[:0]
    else:
        start = len(kept)
        fresh = _seen(text_backbone(backbone), backbone, texts[start:]) if start < len(texts) else kept[:0]
    found = np.concatenate([kept[:start], fresh]) if start else fresh
    if len(fresh):
        _keep(artefacts, project, backbone, found, fitted_on)
    return found, f"{backbone} as it comes"


def weighted_words(texts: Sequence[str], fitted_on: int | None = None, columns: int = COLUMNS) -> Floats:
    """Latent semantic analysis: log-scaled TF-IDF of words and pairs of words, reduced by a truncated SVD, rows of length 1.

    Args:
        texts: N of them.
        fitted_on: how many of them, from the first, words and components are learned from; None: all.
        columns: D; fewer where there are few texts or words.

    Returns:
        float32 (N, D); a text without any word known is 0.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    known = list(texts[:fitted_on])
    least = 2 if len(known) >= 100 else 1  # a word of one text says nothing about another, unless there are few texts
    words = TfidfVectorizer(
        strip_accents="unicode",
        sublinear_tf=True,
        ngram_range=(1, 2),
        max_features=50_000,
        token_pattern=r"(?u)\b\w+\b",  # noqa: S106  no password
        min_df=least,
    )
    try:
        counted = words.fit_transform(known)
    except ValueError:  # no word is left: numbers, signs, another script; single signs always are
        words = TfidfVectorizer(analyzer="char", sublinear_tf=True, max_features=50_000)
        counted = words.fit_transform(known)
    dim = min(columns, counted.shape[1] - 1, len(known) - 1)
    if dim < 1:
        return np.ascontiguousarray(words.transform(texts).toarray(), np.float32)
    svd = TruncatedSVD(dim, random_state=0).fit(counted)
    return np.ascontiguousarray(normalize(svd.transform(words.transform(texts))), np.float32)


def text_backbone(spec: str) -> Callable[[list[str]], Any]:
    """The function of that name, tried on two texts.

    Raises:
        InputError: there is none.
        ConfigError: it cannot be imported, or does not do what it should.
    """
    name = BackboneName.parse(spec)
    if name.source is Source.FACTORY:
        function = imported(name.name)
    elif name.source is Source.PLUGIN:
        known = [TFIDF, "features:FILE.npy", "package.module:function", *plugged.names(GROUP)]
        function = plugged.load(plugged.find(GROUP, name.name, "backbone for texts", known), "backbone", SIGNATURE)
    else:
        raise InputError(f"the backbone {spec!r:.60} is no function of texts; expected {SIGNATURE}; choose another")
    _seen(function, spec, ["one text", "another"])
    return function


def _seen(function: Callable[[list[str]], Any], spec: str, texts: Sequence[str]) -> Floats:
    parts = [_part(function, spec, list(texts[at : at + CHUNK])) for at in range(0, len(texts), CHUNK)]
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise ConfigError(
            f"the backbone {spec} gave rows of {sorted(widths)} columns; expected as many each time; mend it"
        )
    return np.concatenate(parts)


def _part(function: Callable[[list[str]], Any], spec: str, texts: list[str]) -> Floats:
    try:
        found = np.asarray(function(texts), np.float32)
    except Exception as problem:  # somebody's function may fail in any way
        raise ConfigError(
            f"the backbone {spec} failed on {len(texts)} texts: {type(problem).__name__}: {problem!s:.200}; expected "
            f"{SIGNATURE}; mend it"
        ) from problem
    if (
        found.ndim != 2
        or len(found) != len(texts)
        or not 1 <= found.shape[1] <= MAX_WIDTH
        or not np.isfinite(found).all()
    ):
        raise ConfigError(
            f"the backbone {spec} gave an array {found.shape} for {len(texts)} texts, "
            f"{'finite' if np.isfinite(found).all() else 'with numbers that are not finite'}; expected {SIGNATURE}; mend it"
        )
    return found


def _kept(artefacts: Artefacts, project: str, backbone: str) -> tuple[Floats, int]:
    """What was seen before by this backbone, (M, D), and how many texts it was fitted on."""
    try:
        about = json.loads(artefacts.read(pool_file(project, "seen.json")))
        if about["backbone"] != backbone:
            return np.empty((0, 0), np.float32), 0
        found: Floats = load(artefacts.read(pool_file(project, "seen.safetensors")))["features"]
        return found[: int(about["rows"])], int(about["fitted_on"])
    except (NotFoundError, SafetensorError, ValueError, KeyError, TypeError):  # it can be made again
        return np.empty((0, 0), np.float32), 0


def _keep(artefacts: Artefacts, project: str, backbone: str, features: Floats, fitted_on: int) -> None:
    # Of another backbone before it is replaced: a crash between the two must not mix them.
    artefacts.remove(pool_file(project, "seen.json"))
    artefacts.write_file(pool_file(project, "seen.safetensors"), save({"features": features}))
    about = {"backbone": backbone, "rows": len(features), "fitted_on": fitted_on}
    artefacts.write_file(pool_file(project, "seen.json"), json.dumps(about).encode())
