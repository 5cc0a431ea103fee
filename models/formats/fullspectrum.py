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
    template = '''\
"""Give a network its initial weights and its masks."""

from pathlib import Path

from fullspectrum.models import MaskSet, apply
from fullspectrum.models.weights import load_state  # weights

HERE = Path(__file__).parent


def load(model):
    """Return `model`, masked as torch.nn.utils.prune does; build the optimizer afterwards."""
    model.load_state_dict(load_state(HERE / $weights), strict=$strict)  # weights
    return apply(model, MaskSet.load(HERE / $file))
'''

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write both files, without `state` that of the masks alone."""
        if state is None:
            self.check_none_beside(path)
            return [masks.save(path)]
        weights = self.weights_beside(path)
        check_target(path)
        check_target(weights)
        named = MaskSet(masks, {**masks.metadata, "init_digest": init_digest(state)})
        # The weights first: a mask file that stands there has its weights beside it.
        save_state(weights, state)
        return [named.save(path), weights]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
        """Read the mask file, and the weights where they stand beside it."""
        weights = self.weights_beside(path)
        return MaskSet.load(path), load_state(weights) if weights.exists() else None

    def weights_beside(self, path: Path) -> Path:
        """Return the file of the weights, safetensors whatever the masks' name ends with."""
        return path.with_name(f"{path.name.removesuffix('.safetensors')}.init.safetensors")
