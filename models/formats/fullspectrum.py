"""Our own format: the mask file, and the initial weights beside it."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ..files import check_target
from ..masks import MaskSet
from ..weights import init_digest, load_state, save_state
from .format import Format


class Fullspectrum(Format):
    """The files `best.safetensors` and `best.init.safetensors`; the masks name the digest of the weights."""

    description = "the mask file, and the initial weights beside it (.init.safetensors)"

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
        """Write both files."""
        weights = _weights_beside(path)
        check_target(path)
        check_target(weights)
        named = MaskSet(masks, {**masks.metadata, "init_digest": init_digest(state)})
        # The weights first: a mask file that stands there has its weights beside it.
        save_state(weights, state)
        return [named.save(path), weights]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
        """Read the mask file, and the weights where they stand beside it."""
        weights = _weights_beside(path)
        return MaskSet.load(path), load_state(weights) if weights.exists() else None


def _weights_beside(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix('.safetensors')}.init.safetensors")
