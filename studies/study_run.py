"""One training with labels of a study of encoders."""

from dataclasses import dataclass

REPEAT = 1000
"""What a pre-training seed adds to the seed of the trainings that it is paired with, times itself."""


@dataclass(frozen=True)
class Run:
    """One training with labels.

    Attributes:
        recipe: name of its recipe.
        fraction: share of the labelled frames that it is trained on.
        init: its start: from scratch, the name of a pre-training, or a reference.
        seed: seed of the choice of frames, and of the training.
        pretrain_seed: seed of the pre-training that it starts from; None where a study has one for all. A baseline has
            that of the run which it is the baseline of, and repeats the training with other random numbers.
    """

    recipe: str
    fraction: float
    init: str
    seed: int
    pretrain_seed: int | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        repeat = "" if self.pretrain_seed is None else f"_pretrain{self.pretrain_seed}"
        return f"{self.recipe}_{self.fraction:g}_{self.init}_seed{self.seed}{repeat}"

    @property
    def training_seed(self) -> int:
        """The seed of its random numbers: both of a pair have the same ones, and no two pairs of a study have."""
        return self.seed + REPEAT * (self.pretrain_seed or 0)
