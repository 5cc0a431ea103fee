"""The form of torch.nn.utils.prune: `<m>.weight_orig` and `<m>.weight_mask` in a state dict."""

from collections.abc import Mapping

import torch

from ..masks import MaskSet
from .tied import masked_first, under_every_name
from .torchformat import StateFormat, is_by_name


class TorchPrune(StateFormat):
    """A state dict that `load_state_dict` takes strictly, after `prune.identity` on each masked parameter."""

    description = "a state dict as torch.nn.utils.prune makes it: weight_orig, weight_mask"
    template = '''\
"""Give a network its initial weights and its masks, as torch.nn.utils.prune keeps them."""

from pathlib import Path

import torch
from torch.nn.utils import prune

HERE = Path(__file__).parent


def load(model):
    """Return `model`, masked; build the optimizer afterwards."""
    state = torch.load(HERE / $file, weights_only=True)
    for key in state:
        name = key.removesuffix("_orig")
        if name != key and f"{name}_mask" in state:
            module, _, leaf = name.rpartition(".")
            prune.identity(model.get_submodule(module), leaf)
    model.load_state_dict(state, strict=$strict)
    return model
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return initial weights, masks in their dtype, and the rest as it is.

        A weight is masked under each of its names, because each layer that shares it has a mask of its own.
        """
        result: dict[str, torch.Tensor] = {}
        every = under_every_name(masks, state)
        for name, tensor in masked_first(state, masks).items():
            result[f"{name}_orig" if name in every else name] = tensor
            if name in every:
                result[f"{name}_mask"] = torch.tensor(every[name]).to(tensor.dtype)
        return result

    def decode(self, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return what has both `_orig` and `_mask` as a masked parameter, the rest as it is."""
        masks = {name: state[f"{name}_mask"] for name in _masked(state)}
        rest = {key: tensor for key, tensor in state.items() if key.removesuffix("_mask") not in masks}
        return masks, {
            (name if (name := key.removesuffix("_orig")) in masks else key): tensor for key, tensor in rest.items()
        }

    def recognises(self, content: object) -> bool:
        """Return whether any parameter has both."""
        return is_by_name(content) and bool(_masked(content))


def _masked(state: Mapping[str, torch.Tensor]) -> list[str]:
    return [name for key in state if (name := key.removesuffix("_orig")) not in state and f"{name}_mask" in state]
