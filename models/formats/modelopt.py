"""The form of NVIDIA ModelOpt: a boolean buffer `<m>._weight_mask` beside `<m>.weight`."""

from collections.abc import Mapping

import torch

from ..errors import InputError
from ..masks import MaskSet
from .tied import masked_first, under_every_name
from .torchformat import StateFormat, is_by_name

_BUFFER = "_weight_mask"


class ModelOpt(StateFormat):
    """The state dict of a network that ModelOpt has made sparse: it masks the `weight` of layers, and nothing else."""

    description = "NVIDIA ModelOpt's state dict: weight, _weight_mask (bool)"
    template = '''\
"""Give a network its initial weights and its masks through NVIDIA ModelOpt."""

from pathlib import Path

import modelopt.torch.opt as mto
import torch

HERE = Path(__file__).parent


def load(model):
    """Return `model` with sparse layers; modelopt.torch.sparsity.export makes them plain ones again."""
    state = torch.load(HERE / $file, weights_only=True)
    masks = {key[: -len("_weight_mask")]: state.pop(key) for key in list(state) if key.endswith("_weight_mask")}
    model.load_state_dict(state, strict=$strict)
    model = mto.apply_mode(model, "sparse_magnitude")
    for name, mask in masks.items():
        layer = model.get_submodule(name.removesuffix("."))
        layer.modify()
        layer.set_mask(mask)
    return model
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return weights and masks. Raises `InputError` for the mask of another parameter than a `weight`."""
        result: dict[str, torch.Tensor] = {}
        every = under_every_name(masks, state)
        if others := [name for name in masks if name.rpartition(".")[2] != "weight"]:
            raise InputError(f"ModelOpt masks the weight of a layer, but there are masks of {', '.join(others)}")
        for name, tensor in masked_first(state, masks).items():
            result[name] = tensor
            if name in every and name.rpartition(".")[2] == "weight":
                result[name.removesuffix("weight") + _BUFFER] = torch.tensor(every[name])
        return result

    def decode(self, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the masks that are there: ModelOpt drops one that keeps all."""
        masks = {_masked(key): mask for key, mask in state.items() if _is_mask(key)}
        return masks, {key: tensor for key, tensor in state.items() if not _is_mask(key)}

    def recognises(self, content: object) -> bool:
        """Return whether any buffer is a mask."""
        return is_by_name(content) and any(_is_mask(key) for key in content)


def _is_mask(key: str) -> bool:
    return key.rpartition(".")[2] == _BUFFER


def _masked(key: str) -> str:
    return key.removesuffix(_BUFFER) + "weight"
