"""Our own format: the mask file, and the initial weights beside it."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ..files import check_target
from ..masks import MaskSet
from ..weights import init_digest, save_state


def save(path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
    """Write `best.safetensors` and `best.init.safetensors`; the masks name the digest of the weights."""
    weights = path.with_name(f"{path.name.removesuffix('.safetensors')}.init.safetensors")
    check_target(path)
    check_target(weights)
    named = MaskSet(masks, {**masks.metadata, "init_digest": init_digest(state)})
    # The weights first: a mask file that stands there has its weights beside it.
    save_state(weights, state)
    return [named.save(path), weights]
