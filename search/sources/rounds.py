"""Removal in rounds: the weights that are left are scored again after every round; removed weights stay removed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...models.errors import InputError
from ..sampling.draw import top_k
from .setting import Setting

#: The largest number below 1, the lowest score of a weight that is kept.
BELOW = np.nextafter(1.0, 0.0)

#: The rounding of a published code: the number of weights kept of `size` at a density.
Rounding = Callable[[float, int], int]


def schedule(setting: Setting, rounded: Rounding) -> list[int]:
    """Return the numbers of weights kept after each round k: density^(k / rounds) of all, at last `setting.kept`.

    The density is the one asked for, and rounding is the published code's own, because a single weight more or less in
    an early round changes the choice of many in later ones. At least one weight and at most all are kept.
    """
    size, rounds = setting.size, setting.rounds
    kept = min(max(setting.kept, 1), size)
    density = kept / size if setting.sparsity is None else 1 - setting.sparsity
    counts = [rounded(density ** (k / rounds), size) for k in range(1, rounds)]
    return [*(max(count, kept) for count in counts), kept]


class Removal:
    """The weights of a network that are left after each round of `schedule`, and the scores that the rounds give.

    A weight that is left in the end scores its saliency over the lowest that was kept in the last round: 1 or more. A
    weight that was removed in a round scores its saliency over the lowest kept in that round, times the fraction of the
    weights kept then that are left in the end: below 1, and the higher the later it was removed. So the top
    `setting.kept` scores over the network are the weights that the rounds leave.
    """

    def __init__(self, setting: Setting, rounded: Rounding) -> None:
        self._setting = setting
        self._counts = schedule(setting, rounded)
        self._scores = np.zeros(setting.size)
        self._left = np.arange(setting.size)
        self.round = 0
        """The rounds that are done."""

    @property
    def done(self) -> bool:
        """Whether every round is done."""
        return self.round == len(self._counts)

    @property
    def left(self) -> dict[str, np.ndarray]:
        """The weights that are left, True, by parameter name and of the parameters' shapes."""
        left = np.zeros(self._setting.size, dtype=bool)
        left[self._left] = True
        return self._setting.split(left)

    def remove(self, saliencies: Mapping[str, Tensor | np.ndarray]) -> None:
        """Do the next round: remove the weights of the lowest saliencies (>= 0) of those that are left.

        Ties are broken by layer and index.
        """
        count = self._counts[self.round]
        values = _at(saliencies, self._setting.weights, self._left)
        kept = top_k(values, count)
        lowest = values[kept].min()
        gone, self._left = self._left[~kept], self._left[kept]
        self._scores[gone] = np.minimum(_over(values[~kept], lowest), BELOW) * (self._counts[-1] / count)
        self.round += 1
        if self.done:
            self._scores[self._left] = np.maximum(_over(values[kept], lowest), 1.0)

    def scores(self) -> dict[str, np.ndarray]:
        """Return the scores, float64, by parameter name; all rounds must be done."""
        return self._setting.split(self._scores)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` goes on from; "iteration" is the number of rounds done."""
        return {
            "iteration": self.round,
            "counts": list(self._counts),
            "scores": torch.from_numpy(self._scores.copy()),
            "left": torch.from_numpy(self._left.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`. Raise InputError for the state of other rounds."""
        if state["counts"] != self._counts:
            raise InputError(f"these are rounds that leave {state['counts']} weights, expected {self._counts}")
        self.round = state["iteration"]
        self._scores, self._left = state["scores"].numpy(), state["left"].numpy()


def _at(
    saliencies: Mapping[str, Tensor | np.ndarray], weights: Mapping[str, nn.Parameter], left: np.ndarray
) -> np.ndarray:
    """Return the saliencies of the weights `left`, ascending indices over all layers."""
    values, first = [], 0
    for name, weight in weights.items():
        begin, end = np.searchsorted(left, [first, first + weight.numel()])
        values.append(torch.as_tensor(saliencies[name]).ravel().cpu().numpy()[left[begin:end] - first])
        first += weight.numel()
    return np.concatenate(values)


def _over(values: np.ndarray, lowest: float) -> np.ndarray:
    """Return values / lowest, finite; where the lowest is 0, the smallest of the others takes its place."""
    positive = values[values > 0]
    if lowest == 0 and positive.size:
        lowest = positive.min()
    if lowest == 0:
        return np.zeros(values.shape)
    with np.errstate(over="ignore"):
        return np.minimum(values / lowest, np.finfo(float).max)


def remove_in_rounds(
    setting: Setting,
    weights: Mapping[str, nn.Parameter],
    saliency: Callable[[int], Mapping[str, Tensor]],
    rounded: Rounding,
) -> dict[str, np.ndarray]:
    """Return the scores of a `Removal` whose rounds set what they remove of `weights` to zero.

    `saliency(round)` scores `weights` (>= 0).
    """
    removal = Removal(setting, rounded)
    while not removal.done:
        removal.remove(saliency(removal.round))
        with torch.no_grad():
            for name, left in removal.left.items():
                weights[name].masked_fill_(torch.from_numpy(~left).to(weights[name].device), 0.0)
    return removal.scores()
