"""The form of Synaptic-Flow and NTK-SAP: `<m>.weight`, `<m>.weight_mask` and `<m>.bias_mask` in a state dict."""

from collections.abc import Mapping

import torch

from ..masks import MaskSet
from .tied import masked_first, under_every_name
from .torchformat import StateFormat, is_by_name


class SynapticFlow(StateFormat):
    """Synaptic-Flow's model.pt: each layer has float masks of its weight and its bias, of ones where not pruned."""

    description = "Synaptic-Flow's and NTK-SAP's model.pt: weight, weight_mask, bias_mask"
    template = '''\
"""Give a network of Synaptic-Flow's layers its initial weights and its masks."""

from pathlib import Path

import torch

HERE = Path(__file__).parent


def load(model):
    """Return `model` with weights and masks."""
    model.load_state_dict(torch.load(HERE / $file, weights_only=True), strict=$strict)
    return model
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights, and the masks of each weight and bias: every layer of Synaptic-Flow has both."""
        result: dict[str, torch.Tensor] = {}
        every = under_every_name(masks, state)
        for name, tensor in masked_first(state, masks).items():
            result[name] = tensor
            if name in every:
                result[f"{name}_mask"] = torch.tensor(every[name]).float()
            elif name.rpartition(".")[2] in ("weight", "bias"):
                result[f"{name}_mask"] = torch.ones(tensor.shape)
        return result

    def decode(self, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the masks of weights, and of biases, normalisations and scales where they remove anything."""
        keys = {name: f"{name}_mask" for name in _masked(state)}
        masks = {name: mask for name, key in keys.items() if _is_told(mask := state[key])}
        held = set(keys.values())
        return masks, {key: each for key, each in state.items() if key not in held}

    def recognises(self, content: object) -> bool:
        """Return whether any parameter has a mask."""
        return is_by_name(content) and bool(_masked(content))


def _is_told(mask: torch.Tensor) -> bool:
    """Return whether a mask is of a layer's weight, which has several numbers for each output, or removes anything."""
    return mask.numel() > mask.shape[:1].numel() or not bool(mask.all())


def _masked(state: Mapping[str, torch.Tensor]) -> list[str]:
    return [name for name in state if f"{name}_mask" in state]
