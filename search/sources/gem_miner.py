"""Gem-Miner: scores in [0, 1] that are learned for fixed weights, the lowest removed in rounds."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...models.masks import MaskSet
from .setting import Setting
from .supermask import Supermask, straight_through
from .training import TrainingSource

#: The score from which on a weight is in the network, and the score that all weights start at.
HALF, START = 0.5, 0.75


class GemMiner(TrainingSource):
    """The weights whose scores, rounded in the forward pass, gradient steps have raised most.

    Sreenivasan et al. (NeurIPS 2022, algorithm 1). After each round the lowest scores are held at 0; the others go on
    where they are, and no weight moves. The paper's L2 regulariser is the weight decay of the recipe.

    Unlike the paper, the scores all start at `START`, not uniform in [0, 1]: a few hundred steps move them by far less
    than that, and on digits at sparsity 0.995 (9 rounds of 60 steps) a mask of uniform starts trained to 0.63, one of
    equal starts to 0.97. Each round has a learning-rate schedule of its own, and the network is the study's as it is,
    where the paper's has weights of one magnitude and batch normalisation without affine parameters.
    """

    def begin(
        self, setting: Setting, left: Mapping[str, np.ndarray], seed: int, carried: Mapping[str, Tensor] | None
    ) -> tuple[nn.Module, MaskSet | None]:
        """Return the network under the scores that the last round left, and the masks that hold removed ones at 0."""
        model = Rounded(setting, carried or {name: torch.tensor(START) for name in setting.weights})
        return model, model.freezing(left)

    def carried(self, trained: nn.Module) -> dict[str, Tensor]:
        """Return the scores."""
        assert isinstance(trained, Rounded), "what begin returned"
        # The last step may have left the interval.
        return {name: score.clamp(0, 1) for name, score in trained.scores_by_name().items()}

    def saliency(self, setting: Setting, trained: nn.Module, seed: int) -> Mapping[str, Tensor | np.ndarray]:
        return self.carried(trained)


class Rounded(Supermask):
    """A supermask of scores that are projected to [0, 1] and rounded."""

    def masks(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return the rounded scores, after projection."""
        with torch.no_grad():
            for score in scores:
                score.clamp_(0, 1)
        return [straight_through((score >= HALF).to(score.dtype), score) for score in scores]
