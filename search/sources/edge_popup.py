"""Edge-popup: scores that are learned for fixed weights, under the mask of the top scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ...models.masks import MaskSet
from .setting import Setting
from .supermask import Supermask, straight_through
from .training import TrainingSource

#: Fraction of all steps over which the density of the mask falls to the one asked for.
RAMP = 0.75


class EdgePopup(TrainingSource):
    """The weights whose scores are highest after a training in which the top scores alone are the network.

    Ramanujan et al. (CVPR 2020); in a pretrained network its masks are lottery jackpots (Zhang et al., 2021). It trains
    once, for as many steps as all rounds have together. No weight moves, and none is removed for good: whichever
    scores are on top are the mask of a step.

    The paper keeps the same density in each layer and all the time, from random scores. At sparsity 0.995 that leaves
    one weight in the first layer of `digits_cnn`; one ranking over the network, from random scores or from magnitudes,
    empties two layers, through which no gradient comes back (test accuracy 0.10 after 540 steps). Here all scores start
    at 0, so that the ranking, over the whole network, is that of the steps alone, and the density falls exponentially
    from 1 to the budget, as in an ablation of Sreenivasan et al. (NeurIPS 2022): such a mask came to 0.87 with its
    weights untrained, and to 0.98 with them trained. A score counts with its sign, as in the paper; the authors' code
    takes its magnitude.
    """

    def check(self, setting: Setting) -> None:
        """Raise InputError where nothing would be removed."""
        super().check(_in_one_round(setting))

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        return super().scores(_in_one_round(setting), seed)

    def begin(
        self, setting: Setting, left: Mapping[str, np.ndarray], seed: int, carried: Mapping[str, Tensor] | None
    ) -> tuple[nn.Module, MaskSet | None]:
        """Return the network under its top scores; none is held at 0."""
        return Top(setting), None

    def saliency(self, setting: Setting, trained: nn.Module, seed: int) -> Mapping[str, Tensor | np.ndarray]:
        """Return how far each score lies above the lowest of the network."""
        assert isinstance(trained, Top), "what begin returned"
        scores = trained.scores_by_name()
        lowest = min(score.min() for score in scores.values())
        return {name: score - lowest for name, score in scores.items()}


class Top(Supermask):
    """A supermask of the top scores over the network, all of them at first and `setting.kept` after `RAMP`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, {name: torch.zeros(()) for name in setting.weights})
        self._kept, self._size = setting.kept, setting.size
        self._ramp = RAMP * setting.round_iterations
        self._step = 0

    def masks(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return which scores are among the top ones of this step."""
        flat = torch.cat([score.detach().flatten() for score in scores])
        mask = torch.zeros_like(flat).index_fill_(0, flat.topk(self.count, sorted=False).indices, 1)
        if self.training:
            self._step += 1
        parts = mask.split([score.numel() for score in scores])
        return [straight_through(part.view(score.shape), score) for part, score in zip(parts, scores, strict=True)]

    @property
    def count(self) -> int:
        """The number of weights in the mask of this step."""
        density: float = (self._kept / self._size) ** min(1.0, self._step / self._ramp)
        return max(self._kept, round(density * self._size))

    def get_extra_state(self) -> int:
        """Return the steps done, for the state dict."""
        return self._step

    def set_extra_state(self, state: int) -> None:
        """Go on from so many steps."""
        self._step = state


def _in_one_round(setting: Setting) -> Setting:
    return replace(setting, rounds=1, round_iterations=setting.rounds * setting.round_iterations)
