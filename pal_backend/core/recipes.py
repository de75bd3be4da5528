"""Ways to train: which loss, which neighbours, which views, with what weights. Values only; nothing here imports torch."""

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


_GUIDED = Shares(components=0.25, prior=0.40, cannot=0.05)
_ALL = (
    Recipe(
        name="simclr",
        about="SimCLR on views, answers and the neighbours of the version in use: the safe choice.",
        source="Chen et al. 2020 (arXiv 2002.05709), Eq. 1, with the graph of Cabannes et al. 2023 (arXiv 2303.15256)",
    ),
    Recipe(
        name="vicreg",
        about="VICReg on the graph: attraction along edges, variance and covariance kept up, a hinge for what is different.",
        source="Bardes et al. 2022 (arXiv 2105.04906), section 4, with the graph of Cabannes et al. 2023",
        objective="vicreg",
        repulsion=1.0,
        importance=True,
    ),
    Recipe(
        name="spectral",
        about="Squared VICReg, whose optimum is the leading eigenvectors of the signed graph: PAL's own loss.",
        source="Cabannes et al. 2023 (arXiv 2303.15256), on VICReg of Bardes et al. 2022",
        objective="vicreg2",
        normalised=True,
        importance=True,
    ),
    Recipe(
        name="scl",
        about="Spectral contrastive loss on the signed graph; the same optimum as spectral, from pairs instead of covariances.",
        source="HaoChen et al. 2021 (arXiv 2106.04156), section 3.2, with the graph of Cabannes et al. 2023",
        objective="scl",
        normalised=True,
        importance=True,
    ),
    Recipe(
        name="gps-simclr",
        about="SimCLR whose positives are prior neighbours as much as views: for pools where strong views mislead.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on SimCLR",
        prior=1.0,
        temperature=0.2,
        shares=_GUIDED,
    ),
    Recipe(
        name="gps-autoencoder",
        about="gps-simclr with neighbours from an autoencoder that is trained on the pool first: no features are needed.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on SimCLR",
        neighbours=NeighbourRule(space="autoencoder"),
        prior=1.0,
        temperature=0.2,
        shares=_GUIDED,
    ),
    Recipe(
        name="gps-vicreg",
        about="VICReg whose positives are prior neighbours as much as views.",
        source="Feizi et al. 2024 (arXiv 2401.01990), section 3, on VICReg",
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
        objective="xclr",
        prior=1.0,
        cliques=False,
        temperature=0.2,
    ),
    Recipe(
        name="barlow",
        about="Barlow Twins on the graph: each dimension correlated with itself across edges, and with no other one.",
        source="Zbontar et al. 2021 (arXiv 2103.03230), Eq. 1-2, with the graph of Cabannes et al. 2023",
        objective="barlow",
        repulsion=1.0,
        importance=True,
    ),
    Recipe(
        name="byol",
        about="BYOL on the graph: a predictor foretells what a second, slower encoder makes of related samples.",
        source="Grill et al. 2020 (arXiv 2006.07733), Eq. 2, with the graph of Cabannes et al. 2023",
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
        objective="moby",
        normalised=True,
        gentle="weak",
        shares=Shares(components=0.50, prior=0.10, cannot=0.05),
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
