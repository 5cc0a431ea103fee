"""Edge-popup: scores that are learned for fixed weights, the top of which are the network in every step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ...models.masks import MaskSet
from .setting import Setting
from .supermask import Supermask, straight_through
from .training import TrainingSource


class EdgePopup(TrainingSource):
    """Edge-popup of Ramanujan et al. (CVPR 2020); in a pretrained network, lottery jackpots (Zhang et al., 2021)."""

    def check(self, setting: Setting) -> None:
        """Raise InputError where nothing would be removed."""
        super().check(_in_one_round(setting))

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        """Return the magnitudes of the scores after a single training, as long as all rounds together."""
        return super().scores(_in_one_round(setting), seed)

    def begin(
        self, setting: Setting, left: Mapping[str, np.ndarray], seed: int, carried: Mapping[str, Tensor] | None
    ) -> tuple[nn.Module, MaskSet | None]:
        """Return the network under the top scores, which start at the magnitudes of the weights; none is frozen."""
        return Top(setting), None

    def saliency(self, setting: Setting, trained: nn.Module, seed: int) -> Mapping[str, Tensor | np.ndarray]:
        assert isinstance(trained, Top)
        return {name: score.abs() for name, score in trained.scores_by_name().items()}


class Top(Supermask):
    """A supermask of the `setting.kept` scores of the largest magnitude over the network."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, {name: weight.detach().abs() for name, weight in setting.weights.items()})
        self._kept = setting.kept

    def masks(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return which scores are the top ones."""
        magnitudes = [score.abs() for score in scores]
        flat = torch.cat([values.detach().flatten() for values in magnitudes])
        mask = torch.zeros_like(flat).index_fill_(0, flat.topk(self._kept).indices, 1)
        parts = mask.split([values.numel() for values in magnitudes])
        return [
            straight_through(part.view(values.shape), values) for part, values in zip(parts, magnitudes, strict=True)
        ]


def _in_one_round(setting: Setting) -> Setting:
    return replace(setting, rounds=1, round_iterations=setting.rounds * setting.round_iterations)
