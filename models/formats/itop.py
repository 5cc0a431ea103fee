"""The form of ITOP's sparselearning: `Masking.masks`, float32 by parameter name."""

from collections.abc import Mapping

import torch

from ..masks import MaskSet
from .torchformat import MaskFormat, look_like_masks, masks_by_name


class ITOP(MaskFormat):
    """What `sparselearning.core.Masking` keeps of each parameter; of a shared weight its first name alone."""

    description = "ITOP's Masking.masks: float32 by parameter name"
    template = '''\
"""Give a network its initial weights, and the `Masking` of ITOP's sparselearning its masks."""

import copy
from pathlib import Path

import torch

HERE = Path(__file__).parent


def load(model, masking):
    """Put the masks into `masking`, to which `model` was added by `add_module`; return it."""
    model.load_state_dict(torch.load(HERE / $weights, weights_only=True), strict=$strict)  # weights
    masks = torch.load(HERE / $file, weights_only=True)
    if unknown := masks.keys() - masking.masks.keys():
        raise KeyError(f"the network has no {sorted(unknown)}")
    for name, mask in masking.masks.items():
        masking.masks[name] = masks[name].to(mask.device) if name in masks else torch.ones_like(mask)
    masking.apply_mask()
    masking.fired_masks = copy.deepcopy(masking.masks)
    return masking
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> object:
        """Return the masks."""
        return {name: torch.tensor(mask).float() for name, mask in masks.items()}

    def decode(self, content: object) -> dict[str, torch.Tensor]:
        """Return the masks."""
        return masks_by_name(content)

    def recognises(self, content: object) -> bool:
        """Return whether all are floats of 0 and 1."""
        return look_like_masks(content, torch.float32)
