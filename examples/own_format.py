"""A file format of your own: write masks and weights as your trainer reads them, and read them back."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fullspectrum.models import MaskSet
from fullspectrum.models.errors import InputError, first_line
from fullspectrum.models.files import write_atomically
from fullspectrum.models.formats import Format

#: The most weights of a parameter that a file may claim: a file may come from anybody.
MOST_WEIGHTS = 2**31


class KeptIndices(Format):
    """JSON: of each parameter its shape, and the flat indices of its kept weights. It holds no weights."""

    description = "JSON of each parameter's shape and the flat indices of its kept weights"

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
        """Write the file."""
        entries = {name: {"shape": mask.shape, "kept": np.flatnonzero(mask).tolist()} for name, mask in masks.items()}
        return [write_atomically(path, json.dumps(entries).encode())]

    def load(self, path: Path) -> tuple[MaskSet, None]:
        """Read the file; there are no weights in it."""
        try:
            masks = MaskSet({name: _mask(**entry) for name, entry in json.loads(path.read_bytes()).items()})
        except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise InputError(f"{path}: no file of kept indices ({first_line(error)})") from error
        if not masks:
            raise InputError(f"{path}: holds no masks")
        return masks, None


def _mask(shape: list[int], kept: list[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if math.prod(shape) > MOST_WEIGHTS or min(kept, default=0) < 0:
        raise ValueError("a shape or an index is out of range")
    mask = np.zeros(shape, dtype=bool)
    mask.flat[np.array(kept, dtype=np.int64)] = True
    return mask
