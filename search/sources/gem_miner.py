"""Gem-Miner: scores in [0, 1] that are learned for fixed weights, the lowest removed in rounds."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...models.masks import MaskSet
from .setting import Setting
from .supermask import Supermask, straight_through
from .training import TrainingSource

#: The score from which on a weight is in the network.
HALF = 0.5

#: The score that all weights start at.
START = 0.75


class GemMiner(TrainingSource):
    """Gem-Miner of Sreenivasan et al. (NeurIPS 2022, algorithm 1)."""

    def begin(
        self, setting: Setting, left: Mapping[str, np.ndarray], seed: int, carried: Mapping[str, Tensor] | None
    ) -> tuple[nn.Module, MaskSet | None]:
        """Return the network under the rounded scores that the last round left, and what freezes removed ones at 0."""
        model = Rounded(setting, carried or {name: torch.tensor(START) for name in setting.weights})
        return model, model.freezing(left)

    def carried(self, trained: nn.Module) -> dict[str, Tensor]:
        """Return the scores."""
        assert isinstance(trained, Rounded)
        return {name: score.clamp(0, 1) for name, score in trained.scores_by_name().items()}

    def saliency(self, setting: Setting, trained: nn.Module, seed: int) -> Mapping[str, Tensor | np.ndarray]:
        return self.carried(trained)


class Rounded(Supermask):
    """A supermask of scores that are projected to [0, 1] and rounded."""

    def masks(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return the rounded scores."""
        with torch.no_grad():
            for score in scores:
                score.clamp_(0, 1)
        return [straight_through((score >= HALF).to(score.dtype), score) for score in scores]
