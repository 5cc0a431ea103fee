"""The masks of a network's weights while it trains."""

from collections.abc import Mapping

import torch
from torch import nn

from .errors import InputError
from .maskrules.rule import Layer, MaskRule
from .masks import MaskSet, check_fits


class WeightMasks:
    """The masks that `rule` changes, in the dtype, device and layout of the weights of `model` that they mask.

    They start as `masks`, or all kept where the rule starts so; None masks nothing. The rule works over
    `total_iterations`. `tensors` are the masks of now by parameter name, 0 or 1. Raises `InputError` when the masks do
    not fit the model, and where the rule starts dense and would stay so (`MaskRule.check`).
    """

    def __init__(self, model: nn.Module, masks: MaskSet | None, rule: MaskRule, total_iterations: int) -> None:
        parameters = dict(model.named_parameters())
        given = _under_first_names(masks, model) if masks is not None else {}
        self._rule = rule
        self._total_iterations = total_iterations
        self._metadata = masks.metadata if masks is not None else {}
        self._weights = {name: parameters[name] for name in given}
        self._kept = {name: int(mask.sum()) for name, mask in given.items()}
        self.tensors = {
            name: torch.empty_like(weight, requires_grad=False).copy_(torch.tensor(given[name]))
            for name, weight in self._weights.items()
        }
        for name, mask in self.tensors.items():
            if self._count(name, 0) != self._kept[name]:
                rule.check(total_iterations)
                mask.fill_(1)

    @property
    def mask_set(self) -> MaskSet | None:
        """The masks of now under the names of the model's parameters; None where nothing is masked."""
        return MaskSet(self.tensors, self._metadata) if self.tensors else None

    @property
    def removed(self) -> int:
        """Number of removed weights."""
        return sum(int(mask.numel() - mask.count_nonzero()) for mask in self.tensors.values())

    @property
    def zeros(self) -> int:
        """Number of removed weights that are zero now."""
        return sum(int(((mask == 0) & (self._weights[name] == 0)).sum()) for name, mask in self.tensors.items())

    @torch.no_grad()
    def zero_removed_weights(self) -> None:
        """Set every removed weight to zero."""
        if self.tensors:
            torch._foreach_mul_(list(self._weights.values()), list(self.tensors.values()))

    @torch.no_grad()
    def zero_removed_gradients(self) -> None:
        """Set the gradient of every removed weight to zero."""
        pairs = [(w.grad, self.tensors[name]) for name, w in self._weights.items() if w.grad is not None]
        if pairs:
            gradients, masks = zip(*pairs, strict=True)
            torch._foreach_mul_(gradients, masks)

    def gradients(self) -> dict[str, torch.Tensor]:
        """Return a copy of the gradient of each masked weight by name, zero where the loss does not depend on it."""
        return {
            name: torch.zeros_like(w) if w.grad is None else w.grad.detach().clone()
            for name, w in self._weights.items()
        }

    @torch.no_grad()
    def update(
        self, gradients: Mapping[str, torch.Tensor], iteration: int, generator: torch.Generator
    ) -> dict[nn.Parameter, torch.Tensor]:
        """Change the masks as the rule says after `iteration` steps; return which weights it has regrown, as booleans.

        Raises `InputError` where the rule does not return a mask of the right shape and count for each weight.
        """
        layers = {
            name: Layer(mask.bool(), self._weights[name].detach(), gradients[name], self._count(name, iteration))
            for name, mask in self.tensors.items()
        }
        changed = self._rule.update(layers, iteration, self._total_iterations, generator)
        _check_update(self._rule, layers, changed)
        for name, mask in self.tensors.items():
            mask.copy_(changed[name])
        return {self._weights[name]: changed[name] & ~layer.mask for name, layer in layers.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return a copy of the masks by parameter name, boolean, on the CPU."""
        return {name: mask.cpu().bool() for name, mask in self.tensors.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up the masks that `state_dict` returned."""
        for name, mask in self.tensors.items():
            mask.copy_(state[name])

    def _count(self, name: str, iteration: int) -> int:
        return self._rule.count(self._kept[name], self._weights[name].numel(), iteration, self._total_iterations)


def _under_first_names(masks: MaskSet, model: nn.Module) -> MaskSet:
    """Return the masks, each under the first of its weight's names: that of a shared weight may have been another."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    first = {id(weight): name for name, weight in model.named_parameters()}
    fitting = check_fits(masks, parameters)
    return MaskSet({first[id(parameters[name])]: mask for name, mask in fitting.items()}, fitting.metadata)


def _check_update(rule: MaskRule, layers: Mapping[str, Layer], changed: Mapping[str, torch.Tensor]) -> None:
    what = f"the mask rule {type(rule).__name__}"
    if missing := [name for name in layers if name not in changed]:
        raise InputError(f"{what} must return a mask of every layer, but returned none of {', '.join(missing)}")
    for name, layer in layers.items():
        mask = changed[name]
        if mask.dtype != torch.bool or mask.shape != layer.mask.shape:
            raise InputError(
                f"{what} must return booleans of shape {tuple(layer.mask.shape)} for {name}, "
                f"but returned {mask.dtype} {tuple(mask.shape)}"
            )
        if (kept := int(mask.count_nonzero())) != layer.count:
            raise InputError(f"{what} must keep {layer.count} weights of {name}, but keeps {kept}")
