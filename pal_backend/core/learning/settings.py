"""How to train."""

from __future__ import annotations

from dataclasses import dataclass

from pal_backend.core.recipes import DEFAULT, Recipe


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    ``epochs`` counts passes in which every sample comes once in a uniform part; with the parts that follow the graph an
    epoch shows about twice as many images.
    """

    recipe: Recipe = DEFAULT
    epochs: int = 30
    batch: int = 256
    """Samples; rows of the loss are twice as many."""
    seed: int = 0
    device: str = "auto"
    """auto (CUDA if there), cpu or cuda."""
    weight_decay: float = 1e-4
    embedding: int = 128
    """Width of the projector's output."""
    narrow: bool | None = None
    """Whether the network computes in bfloat16 (its weights and the loss stay float32); None: where the device has it."""
    keep_seconds: float = 20.0
    """A checkpoint is made between two steps when the last is so old; it changes nothing in the result."""

    @classmethod
    def of(
        cls, recipe: Recipe, *, epochs: int = 30, batch: int = 256, seed: int = 0, device: str = "auto"
    ) -> TrainingSettings:
        """Settings for a recipe."""
        return cls(recipe=recipe, epochs=epochs, batch=batch, seed=seed, device=device)

    @property
    def decisive(self) -> str:
        """What decides the result, as text."""
        return repr((self.recipe, self.epochs, self.batch, self.seed, self.weight_decay, self.embedding, self.narrow))
