"""What is checked before a mask may train: collapsed layers, input-output paths, effective sparsity."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from ..models.layers import prunable
from ..models.task import Task
from .positive import PositivePropagation, network_input


@dataclass(frozen=True)
class Connectivity:
    """How a mask set connects the network's inputs to its outputs."""

    effective_sparsity: float
    """Fraction of weights that are removed or lie on no input-output path, in [0, 1]."""
    collapsed: tuple[str, ...]
    """Parameters of which nothing is kept."""
    cut: tuple[str, ...]
    """Parameters that keep weights of which none lies on an input-output path."""

    @property
    def fault(self) -> str | None:
        """Why the mask may not train, naming the layer; None where it may."""
        if self.collapsed:
            return f"collapsed: nothing is kept of {', '.join(self.collapsed)}"
        if self.effective_sparsity == 1:
            return "no path from the input to an output"
        return None


class PathCounter:
    """Finds the weights on input-output paths of one network; made once, asked for each mask."""

    def __init__(self, model: nn.Module, task: Task):
        # Weights are replaced by their masks, biases by zero, and all that is not linear by something that is positive
        # and growing. On positive inputs every quantity then grows with every weight before it, nothing cancels, and
        # the derivative of the output by a weight is positive exactly where the weight lies on a path (as in SynFlow,
        # with all weights one).
        self._model = copy.deepcopy(model).cpu().double().eval()
        self._weights = prunable(self._model)
        _fix_computed_weights(self._model)
        for name, parameter in self._model.named_parameters():
            # Scales (of layers, of attention) are one: they connect whatever their value is.
            parameter.requires_grad_(False).fill_(0.0 if name.endswith("bias") else 1.0)
        for weight in self._weights.values():
            weight.requires_grad_(True)
        self._task = task

    def check(self, masks: Mapping[str, np.ndarray]) -> Connectivity:
        """The connectivity under `masks`, which must cover every prunable parameter."""
        kept = {name: torch.tensor(np.asarray(masks[name])) for name in self._weights}
        collapsed = tuple(name for name, mask in kept.items() if not mask.any())
        with torch.no_grad():
            for name, weight in self._weights.items():
                # Rows are averages, not sums, so that deep networks neither overflow nor vanish.
                rows = kept[name].flatten(1).double()
                weight.copy_((rows / rows.sum(1, keepdim=True).clamp(min=1)).view_as(weight))
        shape = (1, self._task.channels, self._task.size, self._task.size)
        image = network_input(torch.ones(shape, dtype=torch.float64))
        with PositivePropagation():
            output = self._model(image).sum()
        gradients = torch.autograd.grad(output, list(self._weights.values()), materialize_grads=True)
        on_path = {n: (g > 0) & kept[n] for (n, g) in zip(self._weights, gradients, strict=True)}
        total = sum(mask.numel() for mask in kept.values())
        effective = sum(int(paths.sum()) for paths in on_path.values())
        cut = tuple(n for n, paths in on_path.items() if n not in collapsed and not paths.any())
        return Connectivity(1 - effective / total, collapsed, cut)


def _fix_computed_weights(model: nn.Module) -> None:
    """Make weights that layers compute (weight norm, a parametrisation) plain ones: none of them is ever pruned."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
