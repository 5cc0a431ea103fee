"""IMP: iterative magnitude pruning with rewinding."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from .registry import source_called
from .setting import Setting
from .training import TrainingSource


class IMP(TrainingSource):
    """The smallest weights of the network removed after each training, the others rewound to where training starts.

    Frankle and Carbin (ICLR 2019), Frankle et al. (ICML 2020). With another source than magnitude its scores of the
    trained weights say which are removed, as iterative SNIP does without the training.
    """

    def __init__(self, saliency: str = "magnitude") -> None:
        """Remove by the scores of the source called `saliency`."""
        self.scored_as = "imp" if saliency == "magnitude" else None
        self._saliency = source_called(saliency)

    def check(self, setting: Setting) -> None:
        """Check the rounds, and the setting for the other source."""
        super().check(setting)
        self._saliency.check(setting)

    def try_out(self, setting: Setting) -> None:
        """Try the other source, and do one round of one step."""
        self._saliency.try_out(setting)
        super().try_out(setting)

    def saliency(self, setting: Setting, trained: nn.Module, seed: int) -> Mapping[str, Tensor | np.ndarray]:
        return self._saliency.scores(replace(setting, model=trained), seed)

    def origin(self) -> dict[str, str]:
        """Return the metadata of the other source."""
        return self._saliency.origin()
