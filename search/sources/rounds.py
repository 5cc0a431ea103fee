"""Removal in rounds: the weights that are left are scored again after every round; removed weights stay removed."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

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


def remove_in_rounds(
    setting: Setting,
    weights: dict[str, nn.Parameter],
    saliency: Callable[[int], Mapping[str, Tensor]],
    rounded: Rounding,
) -> dict[str, np.ndarray]:
    """Return scores whose top `setting.kept` over the network are the weights that the rounds of `schedule` leave.

    `saliency(round)` scores `weights` (>= 0). The lowest are removed, which sets them to zero; ties are broken by layer
    and index. A weight that is left in the end scores its saliency over the lowest that was kept in the last round: 1
    or more. A weight that was removed in a round scores its saliency over the lowest kept in that round, times the
    fraction of the weights kept then that are left in the end: below 1, and the higher the later it was removed.
    """
    counts = schedule(setting, rounded)
    scores = np.zeros(setting.size)
    left = np.arange(setting.size)
    for number, count in enumerate(counts):
        values = _at(saliency(number), weights, left)
        kept = top_k(values, count)
        lowest = values[kept].min()
        gone, left = left[~kept], left[kept]
        scores[gone] = np.minimum(_over(values[~kept], lowest), BELOW) * (counts[-1] / count)
        _remove(setting, weights, gone)
    scores[left] = np.maximum(_over(values[kept], lowest), 1.0)
    return setting.split(scores)


def _at(saliencies: Mapping[str, Tensor], weights: dict[str, nn.Parameter], left: np.ndarray) -> np.ndarray:
    """Return the saliencies of the weights `left`, ascending indices over all layers."""
    values, first = [], 0
    for name, weight in weights.items():
        begin, end = np.searchsorted(left, [first, first + weight.numel()])
        values.append(saliencies[name].ravel().cpu().numpy()[left[begin:end] - first])
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


def _remove(setting: Setting, weights: dict[str, nn.Parameter], gone: np.ndarray) -> None:
    removed = np.zeros(setting.size, dtype=bool)
    removed[gone] = True
    with torch.no_grad():
        for name, layer in setting.split(removed).items():
            weights[name].masked_fill_(torch.from_numpy(layer).to(weights[name].device), 0.0)
