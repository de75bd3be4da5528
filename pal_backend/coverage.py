"""A model version that covers the whole pool: version 0 before any training, and another one when samples have joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.choice import SMALL, BackboneName, Choice, Source
from pal_backend.core.recipes import pretext_of
from pal_backend.core.vocabulary import Annotation, Medium, SampleId
from pal_backend.errors import ConflictError
from pal_backend.given_features import given_features
from pal_backend.pool_content import medium_of
from pal_backend.pool_index import PoolSample, load_images, load_samples
from pal_backend.pretexts import difficulty_for, has
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version
from pal_backend.text_features import text_features

if TYPE_CHECKING:
    from torch import nn

REFIT = 2.0
"""What stands for the pool is fitted anew when the pool has grown by this factor before anything was trained."""
GIVEN = "given"
"""Recipe of a version that no training made."""
PCA = "PCA of the resized pixels"
_NO_IMAGES: NDArray[np.uint8] = np.empty((0, 1, 1, 1), np.uint8)


def cover_pool(
    stores: Stores,
    project: str,
    device: str = "auto",
    choice: Choice | None = None,
    *,
    strategy: str = "",
    seed: int = 0,
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
) -> Version | None:
    """Make a version that knows every sample of the pool current; None if the current one does already.

    Before any training its features are those of the chosen backbone as it comes, or of the chosen file; PCA of the
    resized pixels where the backbone knows nothing yet. They are made anew when another backbone is chosen before the first
    training. When samples join meanwhile they are seen by the components, or the scales, of the samples before them, so that
    the old ones stay where they are; only a pool that has doubled is fitted anew. Afterwards the new samples are seen through the current weights, so that nothing learned is lost when a pool
    grows. Losses of a pretext task, where recipe or strategy ask for them, are learned before the first training, since
    the very first questions follow them; afterwards trainings see to them, and nothing waits here.

    Args:
        stores: where all is kept.
        project: its name.
        device: auto, cpu or cuda.
        choice: how the project learns, as :func:`pal_backend.choosing.settled` states it; None: by our defaults.
        strategy: how it asks.
        seed, progress: of a pretext task, as of :func:`pal_backend.core.learning.pretext.learn`.

    Raises:
        NotFoundError: the pool was never ingested, or a file of the choice is not there.
        InputError, ConfigError: the chosen backbone, weights or features cannot be used.
        ConflictError: another version was made current meanwhile; call again. Or a training made the current one with
            another backbone, which cannot see the new samples.
    """
    medium = medium_of(stores.artefacts, project)
    choice = (choice or Choice()).check(medium)
    versions, samples = stores.versions(project), load_samples(stores.artefacts, project)
    sample_ids = tuple(sample.id for sample in samples)
    current = versions.current()
    before = None if current is None else versions.load(current)
    covered = before is not None and before.sample_ids == sample_ids
    weights: bytes | None = None
    if before is None or before.recipe == GIVEN:
        images, wanted = _NO_IMAGES, ""
        if medium is Medium.TEXT:
            given = Given.texts(stores.artefacts, project, choice)
        else:
            images, wanted = load_images(stores.artefacts, project), pretext_of(choice.recipe, strategy)
            given = Given.of(choice, images)
        if before is not None and covered and before.note == given.note and has(before, wanted, sample_ids):
            return None
        fitted_on = _fitted_on(before, sample_ids, given.note)
        losses = difficulty_for(wanted, before, sample_ids, images, seed=seed, device=device, progress=progress)
        features = given.features(samples, device, fitted_on)
        about: dict[str, Any] = {"fitted_on": fitted_on} | ({"pretext": wanted} if wanted else {})
        version = Version(versions.next_id(), sample_ids, features, GIVEN, 0, given.note, about, losses)
    elif covered:
        return None
    else:
        weights = versions.weights_of(before.id)
        seen = (
            text_features(stores.artefacts, project, choice.backbone, refit=False)[0]
            if medium is Medium.TEXT
            else load_images(stores.artefacts, project)
        )
        version = replace(
            before,
            id=versions.next_id(),
            sample_ids=sample_ids,
            features=_embedded(before, weights, seen, samples, choice=choice, device=device),
            note=f"{current} with the samples that joined since",
            metrics={**before.metrics, "pretext": ""},
            difficulty=None,
        )
    annotations: list[Annotation] = [] if current is None else versions.answers_of(current)
    versions.write(version, weights, annotations)
    versions.make_current(version.id, expected=current)
    return version


@dataclass(frozen=True)
class Given:
    """Features that no training makes, and the words by which their version is known again.

    Args:
        images: of the pool, uint8 (N, S, S, C).
        note: what they are.
        file: of features made elsewhere; None if they are made here.
        network: whose features they are; None for PCA of the resized pixels.
    """

    images: NDArray[np.uint8]
    note: str
    file: Path | None = None
    network: nn.Module | None = None
    ready: NDArray[np.float32] | None = None
    """Features that are there already, of texts."""

    @classmethod
    def texts(cls, artefacts: Artefacts, project: str, choice: Choice) -> Given:
        """What a choice gives of a pool's texts.

        Raises:
            PalError: the backbone cannot be used.
        """
        ready, note = text_features(artefacts, project, choice.backbone)
        return cls(_NO_IMAGES, note, ready=ready)

    @classmethod
    def of(cls, choice: Choice, images: NDArray[np.uint8]) -> Given:
        """What a choice gives before anything is trained.

        A backbone that knows nothing yet gives way to PCA: one that has no weights, or says so (``pretrained = False``).

        Raises:
            PalError: the backbone or its weights cannot be used.
        """
        name = BackboneName.parse(choice.backbone)
        if name.source is Source.FEATURES:
            return cls(images, f"the features of {name.name}", file=Path(name.name))
        if name.needs_weights and not choice.weights:
            return cls(images, PCA)
        import torch

        from pal_backend.backbones import backbone

        make = backbone(choice.backbone, Path(choice.weights) if choice.weights else None)
        network = make(images.shape[-1], images.shape[1], torch.Generator().manual_seed(0))
        if not choice.weights and getattr(network, "pretrained", True) is False:
            return cls(images, PCA)
        weights = f" with {Path(choice.weights).name}" if choice.weights else ""
        return cls(images, f"{choice.backbone}{weights} as it comes", network=network)

    def features(self, samples: Sequence[PoolSample], device: str, fitted_on: int | None = None) -> NDArray[np.float32]:
        """Features of the pool's samples, float32 (N, D), row by row the images.

        Those of a backbone have columns of mean 0 and standard deviation 1, as after a training; others come as they are.

        Raises:
            NotFoundError, InputError: the file of features is missing, malformed, or lacks a sample.
        """
        if self.ready is not None:
            return self.ready
        if self.file is not None:
            return given_features(self.file, samples)
        if self.network is None:
            from pal_backend.core.learning.pixels import pca_features

            return pca_features(self.images, fitted_on=fitted_on)
        from pal_backend.core.learning.untrained import untrained

        return untrained(self.images, self.network, device=device, fitted_on=fitted_on).features


def _fitted_on(before: Version | None, sample_ids: Sequence[SampleId], note: str) -> int:
    """How many of the samples, from the first, components and scales are fitted on."""
    count = len(sample_ids)
    if before is None or before.note != note or before.sample_ids != tuple(sample_ids[: len(before.sample_ids)]):
        return count
    fitted = before.metrics.get("fitted_on")
    known = fitted if isinstance(fitted, int) and 1 < fitted <= count else len(before.sample_ids)
    return count if count >= REFIT * known else known


def _embedded(
    version: Version,
    weights: bytes | None,
    seen: NDArray[np.uint8] | NDArray[np.float32],
    samples: Sequence[PoolSample],
    *,
    choice: Choice,
    device: str,
) -> NDArray[np.float32]:
    """Features of samples under the weights of a version that a training made, float32 (N, D).

    ``seen`` is their images, uint8 (N, S, S, C), or what a backbone saw in their texts, float32 (N, D).
    """
    from pal_backend.backbones import backbone
    from pal_backend.core.learning.backbones import given
    from pal_backend.core.learning.training import embed

    spec = str(version.metrics.get("backbone", SMALL))
    known = spec == choice.backbone or (seen.ndim != 2 and BackboneName.parse(spec).source is not Source.FACTORY)
    if not known or weights is None:  # the file of a version must not say what code is imported
        raise ConflictError(
            f"version {version.id} was made with the backbone {spec!r:.80}, which the project does not name any more; expected "
            f"it, since new samples have to be seen with it; choose it again with `pal init --backbone`, and train"
        )
    name = BackboneName.parse(spec)
    try:
        if seen.ndim == 2:
            return embed(weights, seen, backbone=given, device=device)
        if name.source is Source.FEATURES:
            return embed(weights, given_features(Path(name.name), samples), backbone=given, device=device)
        return embed(weights, seen, backbone=backbone(spec), device=device)
    except ValueError as problem:
        raise ConflictError(
            f"version {version.id} cannot see the new samples: {problem}; expected weights of {spec}; train anew"
        ) from None
