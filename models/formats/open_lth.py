"""The form of open_lth: masks as int32 by parameter name, and beside them a report of their sparsity."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ..files import check_target, write_atomically
from ..masks import MaskSet
from .tied import under_every_name
from .torchformat import MaskFormat, look_like_masks, masks_by_name


class OpenLTH(MaskFormat):
    """What `pruning.mask.Mask` loads from a folder where it is called mask.pth, with sparsity_report.json beside it."""

    description = "open_lth's mask.pth with sparsity_report.json: int32 masks by parameter name"
    template = '''\
"""Give a network of open_lth its initial weights and its masks. Run it where open_lth's folder is on the path."""

from pathlib import Path

import torch
from pruning.mask import Mask
from pruning.pruned_model import PrunedModel

HERE = Path(__file__).parent


def load(model):
    """Return `model` as a PrunedModel; a layer without a mask is kept whole."""
    model.load_state_dict(torch.load(HERE / $weights, weights_only=True), strict=$strict)  # weights
    mask = Mask.ones_like(model)
    mask.update(Mask(torch.load(HERE / $file, weights_only=True)))
    return PrunedModel(model, mask)
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> object:
        """Return the masks of all layers: open_lth names each that shares a weight."""
        return {name: torch.tensor(mask).int() for name, mask in under_every_name(masks, state).items()}

    def decode(self, content: object) -> dict[str, torch.Tensor]:
        """Return the masks."""
        return masks_by_name(content)

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write the masks, the report, and the weights."""
        report = path.with_name("sparsity_report.json")
        check_target(path)
        check_target(report)
        written = super().save(path, masks, state)
        every = list(under_every_name(masks, state).values())
        total, unpruned = sum(mask.size for mask in every), sum(int(np.count_nonzero(mask)) for mask in every)
        counts = {"total": float(total), "unpruned": float(unpruned)}
        return [*written, write_atomically(report, json.dumps(counts, indent=4).encode())]

    def recognises(self, content: object) -> bool:
        """Return whether all are integers of 0 and 1."""
        return look_like_masks(content, torch.int32)
