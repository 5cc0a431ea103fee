"""The form of torch.nn.utils.prune: `<m>.weight_orig` and `<m>.weight_mask` in a state dict."""

from collections.abc import Mapping
from pathlib import Path

import torch

from .. import torchfile
from ..errors import naming
from ..masks import MaskSet
from .format import Format


class TorchPrune(Format):
    """A state dict that `load_state_dict` takes strictly, after `prune.identity` on each masked parameter."""

    description = "a state dict as torch.nn.utils.prune makes it: weight_orig, weight_mask"

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
        """Write the state dict as torch.save does: initial weights, masks in their dtype, and the rest as it is."""
        result: dict[str, torch.Tensor] = {}
        for name, tensor in state.items():
            result[f"{name}_orig" if name in masks else name] = tensor
            if name in masks:
                result[f"{name}_mask"] = torch.tensor(masks[name]).to(tensor.dtype)
        return [torchfile.write(path, result)]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor]]:
        """Read a state dict: what has both `_orig` and `_mask` is a masked parameter, the rest is as it is."""
        state = torchfile.read(path)
        names = [name for key in state if (name := key.removesuffix("_orig")) not in state and f"{name}_mask" in state]
        with naming(path):
            masks = MaskSet({name: state.pop(f"{name}_mask") for name in names})
        return masks, {(name if (name := key.removesuffix("_orig")) in masks else key): t for key, t in state.items()}
