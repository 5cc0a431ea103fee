"""The form of NNI 3: masks by module and parameter."""

from collections.abc import Mapping
from typing import TypeGuard

import torch

from ..errors import InputError
from ..masks import MaskSet
from .tied import under_every_name
from .torchformat import MaskFormat


class NNI(MaskFormat):
    """What `Pruner.get_masks` returns and `Pruner.update_masks` and `ModelSpeedup` take."""

    description = "NNI's masks: {module: {'weight': mask, 'bias': mask or None}}"
    template = '''\
"""Give a network its initial weights and its masks through a pruner of NNI 3."""

from pathlib import Path

import torch
from nni.compression.pruning import LevelPruner

HERE = Path(__file__).parent


def load(model):
    """Return the pruner that keeps `model` masked; its sparse_ratio matters only to its own compress()."""
    model.load_state_dict(torch.load(HERE / $weights, weights_only=True), strict=$strict)  # weights
    masks = torch.load(HERE / $file, weights_only=True)
    pruner = LevelPruner(model, [{"op_names": list(masks), "sparse_ratio": 0.5}])
    pruner.update_masks(masks)
    return pruner
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> object:
        """Return the masks of all layers; their biases are kept whole."""
        result: dict[str, dict[str, torch.Tensor | None]] = {}
        for name, mask in under_every_name(masks, state).items():
            module, _, leaf = name.rpartition(".")
            result.setdefault(module, {})[leaf] = torch.tensor(mask).float()
            if leaf == "weight":
                result[module]["bias"] = None
        return result

    def decode(self, content: object) -> dict[str, torch.Tensor]:
        """Return the masks of parameters, those of activations apart; of biases where they remove anything."""
        if not _is_by_module(content):
            raise InputError("holds no masks by module and parameter")
        masks = {
            f"{module}.{leaf}" if module else leaf: mask
            for module, those in content.items()
            for leaf, mask in those.items()
            if mask is not None and not leaf.startswith(("_input_", "_output_"))
        }
        return {name: mask for name, mask in masks.items() if not name.endswith("bias") or not mask.all()}

    def recognises(self, content: object) -> bool:
        """Return whether it is masks by module."""
        return _is_by_module(content)


def _is_by_module(content: object) -> TypeGuard[dict[str, dict[str, torch.Tensor | None]]]:
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(module, str) and isinstance(those, dict) for module, those in content.items())
        and all(isinstance(leaf, str) for those in content.values() for leaf in those)
        and all(isinstance(mask, torch.Tensor | None) for those in content.values() for mask in those.values())
        and any(those for those in content.values())
    )
