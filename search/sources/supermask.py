"""Supermasks: a network of fixed weights under a mask that is learned, by a score of each weight."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...models.masks import MaskSet
from .setting import Setting


class Supermask(nn.Module):
    """A copy of the network of `setting` whose scores are trained, and nothing else; Zhou et al. (NeurIPS 2019).

    Each of `setting.weights` is multiplied by a mask, which a subclass computes from the scores (`masks`); the gradient
    by the mask is that by the scores (straight-through), so that removed weights are scored too. All parameters of the
    network stay as they are; running statistics move as in any training. `initial` are the scores at the start, by
    parameter name.
    """

    def __init__(self, setting: Setting, initial: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = copy.deepcopy(setting.model).requires_grad_(False)
        self._names = list(setting.weights)
        self._places = _places(self.network, self._names)
        self.scores = nn.ParameterList(_score(initial[name], weight) for name, weight in setting.weights.items())

    def masks(self, scores: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the mask of each weight, 0 or 1, with the gradient of its scores: see `straight_through`."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Any:
        """Call the network under the masks of now."""
        weights = dict(self.network.named_parameters())
        masked: dict[str, Tensor] = {}
        for name, mask in zip(self._names, self.masks(list(self.scores)), strict=True):
            masked |= dict.fromkeys(self._places[name], weights[name] * mask.to(weights[name].dtype))
        # torch would tie the names of a module that has two of them too, and leave masked weights in the network.
        return functional_call(self.network, masked, images, tie_weights=False)

    def scores_by_name(self) -> dict[str, Tensor]:
        """Return a copy of the scores by the names of the weights, on the CPU."""
        return {name: score.detach().cpu().clone() for name, score in zip(self._names, self.scores, strict=True)}

    def freezing(self, left: Mapping[str, Any]) -> MaskSet:
        """Return the masks under which a training holds the scores at zero of all weights but those `left`."""
        return MaskSet({f"scores.{number}": left[name] for number, name in enumerate(self._names)})


def straight_through(mask: Tensor, score: Tensor) -> Tensor:
    """Return `mask`, with the gradient by it passed on to `score` unchanged (Bengio et al., 2013)."""
    # x - x is exactly 0.
    return mask + (score - score.detach())


def _places(model: nn.Module, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the names under which the modules of `model`, each counted once, have each of the parameters `names`."""
    places: dict[int, list[str]] = {}
    for module_name, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            places.setdefault(id(parameter), []).append(f"{module_name}.{leaf}".removeprefix("."))
    return {name: places[id(model.get_parameter(name))] for name in names}


def _score(initial: Tensor, weight: Tensor) -> nn.Parameter:
    # In half precision the steps of a training would be lost.
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return nn.Parameter(torch.empty_like(weight, dtype=dtype, requires_grad=False).copy_(initial))
