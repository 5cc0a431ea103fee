"""The form of ramanujan-on-pai: float masks by the name of the weight."""

from collections.abc import Mapping

import torch

from ..masks import MaskSet
from .tied import under_every_name
from .torchformat import MaskFormat, look_like_masks, masks_by_name


class Ramanujan(MaskFormat):
    """Float masks of the weights of all layers, which the trainer gives to torch.nn.utils.prune."""

    description = "ramanujan-on-pai's float masks by weight"
    template = '''\
"""Give a network its initial weights and its masks, as ramanujan-on-pai's prune_model_custom does."""

from pathlib import Path

import torch
from torch.nn.utils import prune

HERE = Path(__file__).parent


def load(model):
    """Return `model`, masked; build the optimizer afterwards."""
    model.load_state_dict(torch.load(HERE / $weights, weights_only=True), strict=$strict)  # weights
    for name, mask in torch.load(HERE / $file, weights_only=True).items():
        module, _, leaf = name.rpartition(".")
        prune.CustomFromMask.apply(model.get_submodule(module), leaf, mask=mask)
    return model
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> object:
        """Return the masks of all layers."""
        return {name: torch.tensor(mask).float() for name, mask in under_every_name(masks, state).items()}

    def decode(self, content: object) -> dict[str, torch.Tensor]:
        """Return the masks."""
        return masks_by_name(content)

    def recognises(self, content: object) -> bool:
        """Return whether all are floats of 0 and 1 and named as weights are."""
        return look_like_masks(content, torch.float32) and all(
            name.endswith("weight") for name in masks_by_name(content)
        )
