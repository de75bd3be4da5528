"""How a project learns, in names: recipe, backbone, weights, tuning. Pure, standard library only.

A name is only read here, never imported or opened; :mod:`pal_backend.backbones` does that, in workers and on the command
line, and :mod:`pal_backend.choosing` says whose name counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from pal_backend.core.vocabulary import Medium
from pal_backend.errors import InputError

SMALL = "small"
"""Our own network for tiny images."""
TFIDF = "tfidf"
"""What sees texts where nobody says more: weighted words, reduced."""
WEIGHT_FILES = (".safetensors", ".pth", ".pt")
"""Kinds of file from which weights are read."""
MAX_CHARACTERS = 1_000
MAX_SIDE = 512
"""Largest side, in pixels, to which images are enlarged in front of a network."""


class Tuning(StrEnum):
    """How much of a network learns."""

    FULL = "full"
    """All weights."""
    HEAD = "head"
    """A linear map of its features; the network stays as it is."""
    FROZEN = "frozen"
    """Nothing: its features are taken as they come."""


class Source(StrEnum):
    """Where a backbone comes from."""

    SMALL = "small"
    TORCHVISION = "torchvision"
    TIMM = "timm"
    FACTORY = "package.module:factory"
    """Any importable function: whoever names it decides what code runs."""
    PLUGIN = "entry point"
    """A function that an installed package offers under a name."""
    FEATURES = "features"
    """No network: features made elsewhere, in a file."""
    TFIDF = "tfidf"
    """No network: weighted words, of texts."""


_LIBRARY = re.compile(r"(torchvision|timm):([A-Za-z0-9][A-Za-z0-9_.-]*)(?:@([1-9][0-9]{0,3}))?\Z", re.ASCII)
_FEATURES = re.compile(r"features:(.+\.npy)\Z")
_FACTORY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z", re.ASCII)
_PLUGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z", re.ASCII)


@dataclass(frozen=True)
class BackboneName:
    """What a backbone's name says.

    Args:
        source: where it comes from.
        name: the library's model, ``package.module:factory``, the entry point, or the file of features.
        side: pixels to which images are enlarged in front of the network; None: they enter as they are.
    """

    source: Source
    name: str
    side: int | None = None

    @classmethod
    def parse(cls, text: str) -> BackboneName:
        """Read ``small``, ``torchvision:NAME``, ``timm:NAME`` (both also with ``@SIDE``), ``package.module:factory``,
        ``features:FILE.npy`` or an entry point's name.

        Raises:
            InputError: it is none of these.
        """
        if not isinstance(text, str) or len(text) > MAX_CHARACTERS or "\0" in text:
            raise _unreadable(text)
        if text == SMALL:
            return cls(Source.SMALL, text)
        if text == TFIDF:
            return cls(Source.TFIDF, text)
        if found := _LIBRARY.match(text):
            side = int(found[3]) if found[3] else None
            if side is not None and side > MAX_SIDE:
                raise InputError(
                    f"the backbone {text!r} enlarges images to {side} pixels; expected at most {MAX_SIDE}; choose less"
                )
            return cls(Source(found[1]), found[2], side)
        if found := _FEATURES.match(text):
            return cls(Source.FEATURES, found[1])
        if _FACTORY.match(text) and text.partition(":")[0] not in ("torchvision", "timm", "features"):
            return cls(Source.FACTORY, text)
        if _PLUGIN.match(text):
            return cls(Source.PLUGIN, text)
        raise _unreadable(text)

    @property
    def needs_weights(self) -> bool:
        """Whether it knows nothing without a file of weights, and so cannot be used as it is."""
        return self.source in (Source.SMALL, Source.TORCHVISION, Source.TIMM)


def _unreadable(text: object) -> InputError:
    return InputError(
        f"the backbone {text!r:.60} cannot be read; expected small, torchvision:NAME, timm:NAME, package.module:factory, "
        "features:FILE.npy or the name of an installed one; see docs/backbones.md"
    )


@dataclass(frozen=True)
class Choice:
    """How to learn, as far as somebody said; what is empty was not said.

    Args:
        recipe: a name in :data:`pal_backend.core.recipes.RECIPES`.
        backbone: as :meth:`BackboneName.parse` reads it.
        weights: a file of weights. It belongs to the backbone: who names a backbone says which weights, if any.
        tuning: a :class:`Tuning`.
    """

    recipe: str = ""
    backbone: str = ""
    weights: str = ""
    tuning: str = ""

    def over(self, other: Choice) -> Choice:
        """This choice, with ``other`` where it says nothing."""
        network = self if self.backbone or self.weights else other
        return Choice(
            recipe=self.recipe or other.recipe,
            backbone=network.backbone,
            weights=network.weights,
            tuning=self.tuning or other.tuning,
        )

    def completed(self, medium: Medium = Medium.IMAGE) -> Choice:
        """With our defaults in what nobody said: SimCLR, the small network, all of it learning; of texts weighted words."""
        backbone = self.backbone or (TFIDF if medium is Medium.TEXT else SMALL)
        given = medium is Medium.TEXT or BackboneName.parse(backbone).source is Source.FEATURES
        return Choice(
            recipe=self.recipe or "simclr",
            backbone=backbone,
            weights=self.weights,
            tuning=self.tuning or (Tuning.FROZEN if given else Tuning.FULL),
        )

    def check(self, medium: Medium = Medium.IMAGE) -> Choice:
        """This choice, complete, if its parts go together for samples of this kind; nothing is imported or opened.

        Raises:
            InputError: a name cannot be read, or the parts do not go together.
        """
        whole = self.completed(medium)
        name = BackboneName.parse(whole.backbone)
        tuning = read_tuning(whole.tuning)
        if medium is Medium.TEXT:
            return replace(_for_texts(whole, name, tuning), tuning=tuning)
        if name.source is Source.TFIDF:
            raise InputError(f"the backbone {TFIDF} is for texts; expected one for images; choose another")
        if name.source is Source.FEATURES and (tuning is Tuning.FULL or whole.weights):
            found = f"weights {whole.weights!r:.60}" if whole.weights else "tuning 'full'"
            raise InputError(
                f"{found} with {whole.backbone!r:.60}; expected no weights and tuning frozen or head, since there is no "
                "network; choose a backbone, or leave it out"
            )
        if tuning is not Tuning.FULL and name.needs_weights and not whole.weights:
            raise InputError(
                f"tuning {tuning} of {whole.backbone} without weights; expected weights, since a network that never "
                "learned has nothing to keep; give a file with --weights, or tuning full"
            )
        return replace(whole, tuning=tuning)


def _for_texts(whole: Choice, name: BackboneName, tuning: Tuning) -> Choice:
    """The choice, if it can see texts: of these there are no views, and no network of ours learns them."""
    if name.source in (Source.SMALL, Source.TORCHVISION, Source.TIMM) or whole.weights:
        raise InputError(
            f"the backbone {whole.backbone!r:.60}{' with weights' * bool(whole.weights)} is for images; expected {TFIDF}, "
            "features:FILE.npy, an installed backbone for texts or package.module:function; see docs/pools.md"
        )
    if tuning is Tuning.FULL or whole.recipe != "simclr":
        raise InputError(
            f"recipe {whole.recipe!r:.60} with tuning {tuning} on texts; expected recipe simclr and tuning frozen or head, "
            "since there are no views of texts; leave them out"
        )
    return whole


def read_tuning(text: str) -> Tuning:
    """The tuning of that name.

    Raises:
        InputError: there is none.
    """
    try:
        return Tuning(text)
    except ValueError:
        raise InputError(
            f"there is no tuning {text!r:.60}; expected one of: {', '.join(Tuning)}; choose one of them"
        ) from None
