"""Whether a file holds what was written to it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..masks import MaskSet
from .format import Format
from .state_dict import zeroed
from .tied import under_every_name


def check_same(format: Format, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> None:
    """Read `path` again. Raise `InputError`, naming a parameter, unless it holds `masks` and `state` as written.

    A parameter without a mask is one that is kept whole. Masks that the format infers follow from the weights, which
    are compared bit for bit, where they are in the file; where it writes removed ones as 0, as such.
    """
    found, weights = format.load(path)
    known = weights if weights is not None else state
    if known is not None:
        found = format.named(found, known)
    problem = None if format.infers_masks else _other_mask(found, masks, known)
    if problem is None and weights is not None and state is not None:
        problem = _other_weight(weights, zeroed(masks, state) if format.zeroes_removed else state)
    if problem is not None:
        raise InputError(f"{path}: does not hold what was written to it: {problem} reads back otherwise")


def _other_mask(found: MaskSet, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> str | None:
    """Return the name of a parameter whose masks differ, None where there is none."""
    one, other = under_every_name(found, state), under_every_name(masks, state)
    for name in one | other:
        # What has no mask is kept whole.
        pair = [each[name] for each in (one, other) if name in each]
        if not (np.array_equal(pair[0], pair[1]) if len(pair) == 2 else pair[0].all()):
            return f"the mask of {name}"
    return None


def _other_weight(found: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of a tensor that differs in type, shape or a bit, None where there is none."""
    if others := found.keys() ^ state.keys():
        return f"the weight {min(others)}"
    return next((f"the weight {name}" for name, tensor in state.items() if not _same(found[name], tensor)), None)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    # As bytes: a number that is none is no other, and 0 is -0.
    return torch.equal(*(each.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for each in (one, other)))
