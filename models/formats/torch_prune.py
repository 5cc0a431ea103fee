"""The form of torch.nn.utils.prune: `<m>.weight_orig` and `<m>.weight_mask` in a state dict."""

from collections.abc import Mapping
from pathlib import Path

import torch

from .. import torchfile
from ..errors import naming
from ..masks import MaskSet
from ..sharing import memory_of, shared_names
from .format import Format


class TorchPrune(Format):
    """A state dict that `load_state_dict` takes strictly, after `prune.identity` on each masked parameter."""

    description = "a state dict as torch.nn.utils.prune makes it: weight_orig, weight_mask"

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
        """Write the state dict as torch.save does: initial weights, masks in their dtype, and the rest as it is.

        A weight is masked under each of its names, because each layer that shares it has a mask of its own.
        """
        result: dict[str, torch.Tensor] = {}
        mask_of = {memory_of(state[name]): mask for name, mask in masks.items()}
        # What has a mask first: of a weight's names, `load` takes the first for that of its mask.
        for name, tensor in sorted(state.items(), key=lambda item: item[0] not in masks):
            mask = masks.get(name, mask_of.get(memory_of(tensor)))
            result[name if mask is None else f"{name}_orig"] = tensor
            if mask is not None:
                result[f"{name}_mask"] = torch.tensor(mask).to(tensor.dtype)
        return [torchfile.write(path, result)]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor]]:
        """Read a state dict: what has both `_orig` and `_mask` is a masked parameter, the rest is as it is.

        A weight of several names with equal masks has a mask under the first.
        """
        state = torchfile.read(path)
        names = [name for key in state if (name := key.removesuffix("_orig")) not in state and f"{name}_mask" in state]
        found = {name: state.pop(f"{name}_mask") for name in names}
        state = {(name if (name := key.removesuffix("_orig")) in found else key): t for key, t in state.items()}
        for first, *others in shared_names({name: state[name] for name in names}):
            for other in others:
                if torch.equal(found[other], found[first]):
                    del found[other]
        with naming(path):
            return MaskSet(found), state
