"""The table of recipes: loss, prior, batch, and the way of asking that fits. Values only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pal_backend.errors import InputError


@dataclass(frozen=True)
class NeighbourRule:
    """Which samples may be drawn as each other's positive before anybody was asked (GPS-SSL, arXiv 2401.01990, section 3).

    Args:
        space: where distances are taken: "version" (features of the version in use), "pca" (of the pixels), "autoencoder"
            (ours, trained on the pool), "backbone" (the chosen network, before training), or "none" (views alone).
        rule: "uniform" among the ``k`` nearest, as in the paper's code, or the "farthest" in the ball, as in its text.
        k: how many nearest are looked at.
        radius: "" for none, "adaptive" for the mean of a sample's first 20 distances, or a distance.
        mutual: keep only neighbours that are each other's; otherwise one direction is enough.
        refresh: take the neighbours anew from the network being trained every so many epochs; 0 never.
    """

    space: str = "version"
    rule: str = "uniform"
    k: int = 10
    radius: str | float = ""
    mutual: bool = False
    refresh: int = 0


@dataclass(frozen=True)
class Shares:
    """What a batch is made of, as shares of its size; the rest is uniform."""

    components: float = 0.30
    """Members of components, and both ends of answered pairs."""
    prior: float = 0.15
    """Samples together with one of their prior neighbours."""
    cannot: float = 0.05
    """More room for answered pairs, "different" ones among them."""
    members: int = 4
    """Drawn of a component at a time: several where they are each other's positives in the batch, one where a batch is to
    hold as many different components as it can."""

    @property
    def uniform(self) -> float:
        """Uniform samples."""
        return 1.0 - self.components - self.prior - self.cannot


@dataclass(frozen=True)
class Recipe:
    """One way to train. Weights are those of the graph's edges before an objective normalises them.

    Args:
        name: by which projects and commands ask for it.
        about: one sentence for a person.
        differs: what differs from ``source``, for a person; docs/recipes tells more.
        asking: the strategy that fits; ``--strategy`` decides.
        pretext: the task whose losses order the samples, a name in ``core.learning.pretext.TASKS``; "" for none.
        source: the paper it follows, with its section.
        objective: the loss, a name in ``core.learning.objectives``: "simclr", "xclr", "vicreg", "vicreg2", "scl", "barlow",
            "byol" or "moby".
        neighbours: the positives of GPS-SSL.
        augmentation: how far views go, a name in ``core.learning.views.PRESETS``.
        gentle: the same for first views, where they are to be milder than second ones; "" for none of its own.
        view: weight of the edges between views of one sample.
        prior: weight of an edge to a prior neighbour that is surely the same; its measured precision is multiplied in.
        shares: what batches are made of.
        importance: weigh an edge as the whole graph does, divided by the chance that a batch holds it, so that attraction
            has the mean of the whole graph; otherwise edges are weighed within the batch.
        cliques: whether the edges of a component of s weigh 1 / (s - 1) each, in all as much as one; otherwise each weighs
            how sure it is.
        normalised: whether the projector has batch normalisation and its outputs begin near 0.
        learning_rate: highest, of AdamW.
        temperature: of SimCLR, X-CLR and MoBY.
        softness: temperature of X-CLR's targets.
        repulsion: by how much a "different" counts more than an ordinary negative (SimCLR, X-CLR, MoBY), the weight of its
            hinge (VICReg, BYOL), or its weight beside a "same" (Barlow Twins).
        momentum: share of itself that a second encoder keeps in the first step, rising to 1 (BYOL, MoBY); 0: there is none.
        queue: keys of the second encoder that are kept of each view (MoBY), at most as many as there are samples.
        contrast: weight of the contrastive loss beside the classification by groups (MoBY).
        ranks: whether several processes may train together; one with a state beside the network (a second encoder, a queue)
            trains on one.
    """

    name: str
    about: str
    source: str
    differs: str = ""
    asking: str = "gain"
    pretext: str = ""
    objective: str = "simclr"
    neighbours: NeighbourRule = NeighbourRule()
    augmentation: str = "strong"
    gentle: str = ""
    view: float = 1.0
    prior: float = 0.3
    shares: Shares = field(default_factory=Shares)
    importance: bool = False
    cliques: bool = True
    normalised: bool = False
    learning_rate: float = 2e-3
    temperature: float = 0.5
    softness: float = 0.1
    repulsion: float = 2.0
    momentum: float = 0.0
    queue: int = 0
    contrast: float = 0.5
    ranks: bool = True


_GRAPH = 'similarity comes from answers and prior neighbours too, and a "different" weighs more'
_NEIGHBOURS = "neighbours are symmetric and weighed by how often answers confirm them; a sample is never its own"
_PLACED = "chosen samples are placed by pairs, and the groups are found on the way"
_GUIDED = Shares(components=0.25, prior=0.40, cannot=0.05)
_ALL = (
    Recipe(
        name="simclr",
        about="SimCLR on views, answers and the neighbours of the version in use: the safe choice.",
        source="Chen et al. 2020 (arXiv 2002.05709), Eq. 1, with the graph of Cabannes et al. 2023 (arXiv 2303.15256)",
        differs=f"{_GRAPH}; milder views without mirroring",
    ),
    Recipe(
        name="vicreg",
        about="VICReg on the graph: attraction along edges, variance and covariance kept up, a hinge for what is different.",
        source="Bardes et al. 2022 (arXiv 2105.04906), section 4, with the graph of Cabannes et al. 2023",
        differs="a hinge pushes apart what is different; statistics are those of the uniform part of a batch",
        objective="vicreg",
        repulsion=1.0,
        importance=True,
    ),
    Recipe(
        name="spectral",
        about="Squared VICReg, whose optimum is the leading eigenvectors of the signed graph: PAL's own loss.",
        source="Cabannes et al. 2023 (arXiv 2303.15256), on VICReg of Bardes et al. 2022",
        differs="a network learns it in batches, where PAL's study solves it in closed form; components weigh alike",
        objective="vicreg2",
        normalised=True,
        importance=True,
    ),
    Recipe(
        name="scl",
        about="Spectral contrastive loss on the signed graph; the same optimum as spectral, from pairs instead of covariances.",
        source="HaoChen et al. 2021 (arXiv 2106.04156), section 3.2, with the graph of Cabannes et al. 2023",
        differs="the graph is signed and answered; the paper's holds views alone",
        objective="scl",
        normalised=True,
        importance=True,
    ),
    Recipe(
        name="pt4al",
        about="simclr, with a rotation pretext whose losses say in which order samples are asked about.",
        source="Yi et al. 2022 (arXiv 2201.07459), section 3, for asking; simclr for training",
        differs=f"{_PLACED}; losses are ordered as numbers; features come from simclr, no classifier is trained",
        asking="pt4al",
        pretext="rotation",
    ),
    Recipe(
        name="pt4al-views",
        about="pt4al where every rotation is as good as another: how far apart two views of a sample lie.",
        source="Yi et al. 2022 (arXiv 2201.07459), section 3, for asking; simclr for training",
        differs=f"{_PLACED}; the pretext task is ours",
        asking="pt4al",
        pretext="view-alignment",
    ),
    Recipe(
        name="pt4al-patches",
        about="pt4al where every rotation is as good as another: how badly masked patches are restored.",
        source="Yi et al. 2022 (arXiv 2201.07459), section 3, for asking; simclr for training",
        differs=f"{_PLACED}; the pretext task is ours",
        asking="pt4al",
        pretext="masked-patches",
    ),
    Recipe(
        name="gps-simclr",
        about="SimCLR whose positives are prior neighbours as much as views: for pools where strong views mislead.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on SimCLR",
        differs=_NEIGHBOURS,
        prior=1.0,
        temperature=0.2,
        shares=_GUIDED,
    ),
    Recipe(
        name="gps-autoencoder",
        about="gps-simclr with neighbours from an autoencoder that is trained on the pool first: no features are needed.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on SimCLR",
        differs=f"{_NEIGHBOURS}; the autoencoder is convolutional and narrow",
        neighbours=NeighbourRule(space="autoencoder"),
        prior=1.0,
        temperature=0.2,
        shares=_GUIDED,
    ),
    Recipe(
        name="gps-vicreg",
        about="VICReg whose positives are prior neighbours as much as views.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on VICReg",
        differs=_NEIGHBOURS,
        objective="vicreg",
        prior=1.0,
        repulsion=1.0,
        shares=_GUIDED,
        importance=True,
    ),
    Recipe(
        name="xclr",
        about="SimCLR with soft targets: each sample is to be as near as prior and answers say it is alike.",
        source="Sobal et al. 2024 (arXiv 2407.18134), section 3, with the graph of Cabannes et al. 2023",
        differs="likeness comes from the prior space, not from captions; answers override it",
        objective="xclr",
        prior=1.0,
        cliques=False,
        temperature=0.2,
    ),
    Recipe(
        name="barlow",
        about="Barlow Twins on the graph: each dimension correlated with itself across edges, and with no other one.",
        source="Zbontar et al. 2021 (arXiv 2103.03230), Eq. 1-2, with the graph of Cabannes et al. 2023",
        differs="related samples are edges of a signed graph, not two views alone; statistics are those of the uniform part of a batch",
        objective="barlow",
        repulsion=1.0,
        importance=True,
    ),
    Recipe(
        name="byol",
        about="BYOL on the graph: a predictor foretells what a second, slower encoder makes of related samples.",
        source="Grill et al. 2020 (arXiv 2006.07733), Eq. 2, with the graph of Cabannes et al. 2023",
        differs="the partner is any related sample, not only the other view; a hinge pushes apart what is different",
        objective="byol",
        normalised=True,
        repulsion=1.0,
        momentum=0.99,
        ranks=False,
    ),
    Recipe(
        name="gps-barlow",
        about="Barlow Twins whose positives are prior neighbours as much as views.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on Barlow Twins",
        differs=_NEIGHBOURS,
        objective="barlow",
        prior=1.0,
        repulsion=1.0,
        shares=_GUIDED,
        importance=True,
    ),
    Recipe(
        name="gps-byol",
        about="BYOL whose positives are prior neighbours as much as views.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on BYOL",
        differs=_NEIGHBOURS,
        objective="byol",
        normalised=True,
        prior=1.0,
        repulsion=1.0,
        shares=_GUIDED,
        momentum=0.99,
        ranks=False,
    ),
    Recipe(
        name="mobyv2al",
        about="Contrast with a queue of keys and classification by the groups found so far, together: once there are groups.",
        source="Caramalau et al. 2022 (arXiv 2301.01531), section 3, with the graph of Cabannes et al. 2023",
        differs="classes are the groups found so far, and keys of related samples are no negatives; questions look at images, not views",
        asking="k-centre",
        objective="moby",
        normalised=True,
        gentle="weak",
        shares=Shares(components=0.50, prior=0.10, cannot=0.05, members=1),
        temperature=0.2,
        momentum=0.99,
        ranks=False,
        queue=4096,
    ),
)
RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _ALL})
"""All there are, by name."""
DEFAULT = RECIPES["simclr"]


def recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r:.60}; expected one of: {', '.join(RECIPES)}; choose one of them")
    return RECIPES[name]


PRETEXT = "rotation"
"""Of strategies that order samples by a pretext loss, where the recipe names no other task."""
TEMPERED = frozenset({"simclr", "xclr", "moby"})
"""Losses with a temperature."""
ORDERED = frozenset({"pt4al", "pt4al-easiest"})
"""Strategies that order samples by a pretext loss."""


def pretext_of(recipe_name: str, strategy: str) -> str:
    """The pretext task that a recipe or a strategy asks for, by name; "" if neither does.

    Raises:
        InputError: there is no such recipe.
    """
    return recipe(recipe_name).pretext or (PRETEXT if strategy in ORDERED else "")


def cells(of: Recipe) -> dict[str, str]:
    """A recipe in the words of the table: loss, prior, batch, asking. ``pal recipes`` and docs/recipes show them."""
    rule, shares = of.neighbours, of.shares
    temperature = f", τ {of.temperature:g}" if of.objective in TEMPERED else ""
    space = "version in use" if rule.space == "version" else rule.space
    prior = "none" if rule.space == "none" else f"{space}, weight {of.prior:g}"
    parts = {"components": shares.components, "neighbours": shares.prior, "different": shares.cannot}
    asking = of.asking + (f", {of.pretext}" if of.pretext else "")
    return {
        "loss": f"{of.objective}{temperature}",
        "prior": prior,
        "batch": ", ".join(f"{share:.0%} {part}" for part, share in parts.items() if share) or "uniform",
        "asking": asking,
    }
