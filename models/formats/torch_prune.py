"""The form of torch.nn.utils.prune: `<m>.weight_orig` and `<m>.weight_mask` in a state dict."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch

from ..files import write_atomically
from ..masks import MaskSet


def save(path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
    """Write a state dict that `load_state_dict` takes strictly, after `prune.identity` on each masked parameter.

    `<m>.weight_orig` holds the initial weights, `<m>.weight_mask` the mask in their dtype; the rest is as it was.
    """
    result: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        # A clone, because torch.save writes a view's whole storage.
        tensor = tensor.detach().cpu().clone()
        if name in masks:
            result[f"{name}_orig"] = tensor
            result[f"{name}_mask"] = torch.tensor(masks[name]).to(tensor.dtype)
        else:
            result[name] = tensor
    # Through memory, because torch.save writes the file's own name into it.
    buffer = io.BytesIO()
    torch.save(result, buffer)
    return [write_atomically(path, buffer.getvalue())]
