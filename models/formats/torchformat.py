"""Formats that are a file of torch.save."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import torch

from .. import torchfile
from ..errors import InputError, naming
from ..files import check_target
from ..masks import MaskSet
from ..weights import load_state
from .format import Format
from .tied import under_one_name

#: Values of each tensor that recognition looks at.
_LOOKED_AT = 1000


class StateFormat(Format):
    """A state dict that holds weights and masks. Override `encode`, `decode` and `recognises`."""

    needs_weights = True

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the state dict of the file."""
        raise NotImplementedError

    def decode(self, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the masks of a state dict by parameter name, and its weights."""
        raise NotImplementedError

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write the state dict as torch.save does."""
        assert state is not None, "the format needs weights"
        return [torchfile.write(path, self.encode(masks, state))]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor]]:
        """Read a state dict, or that of a checkpoint. A weight of several names with equal masks has one of them."""
        content = torchfile.read(path)
        with naming(path):
            masks, state = self.decode(content)
            return MaskSet(under_one_name(masks, state)), state


class MaskFormat(Format):
    """Masks alone in one file, and beside them the initial weights. Override `encode`, `decode` and `recognises`."""

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> object:
        """Return the content of the file: tensors in dicts and lists."""
        raise NotImplementedError

    def decode(self, content: object) -> dict[str, torch.Tensor]:
        """Return the masks of the content of a file by parameter name. Raises `InputError` where it has none."""
        raise NotImplementedError

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write the masks, and beside them the state dict."""
        content = self.encode(masks, state)
        if state is None:
            self.check_none_beside(path)
            return [torchfile.write(path, content)]
        beside = self.weights_beside(path)
        check_target(path)
        check_target(beside)
        # The weights first: a file of masks that stands there has its weights beside it.
        torchfile.write(beside, dict(state))
        return [torchfile.write(path, content), beside]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
        """Read the masks, and the weights where they stand beside them."""
        masks = torchfile.read_content(path, lambda content: self.decode(torchfile.unwrapped(content)))
        beside = self.weights_beside(path)
        state = load_state(beside) if beside.exists() else None
        with naming(path):
            return MaskSet(under_one_name(masks, state)), state


def masks_by_name(content: object) -> dict[str, torch.Tensor]:
    """Return `content` where it is a dict of tensors by name. Raises `InputError` for anything else."""
    if not is_by_name(content):
        raise InputError("holds no masks by parameter name")
    return content


def is_by_name(content: object) -> TypeGuard[dict[str, torch.Tensor]]:
    """Return whether `content` is a dict of tensors by name, and not an empty one."""
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in content.items())
    )


def look_like_masks(content: object, *dtypes: torch.dtype) -> bool:
    """Return whether `content` is a dict of such tensors by name whose first values are 0 and 1 alone."""
    return is_by_name(content) and all(
        each.dtype in dtypes and each.ndim > 0 and bool(((first := _first(each)) == 0).logical_or(first == 1).all())
        for each in content.values()
    )


def _first(tensor: torch.Tensor) -> torch.Tensor:
    """Return a few values of a tensor: a whole one may take long to read."""
    return tensor[(0,) * (tensor.ndim - 1)][:_LOOKED_AT] if 0 not in tensor.shape else tensor.reshape(-1)
