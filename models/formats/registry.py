"""The registry of export formats; a new one is a file of its own and a line here."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import InputError, nearest
from ..masks import MaskSet, check_fits
from ..weights import init_digest
from . import fullspectrum, torch_prune


@dataclass(frozen=True)
class Format:
    """A way to write masks and initial weights: `save(path, masks, state)` returns the paths it wrote."""

    save: Callable[[Path, MaskSet, Mapping[str, torch.Tensor]], list[Path]]
    description: str


FORMATS: dict[str, Format] = {
    "fullspectrum": Format(fullspectrum.save, "the mask file, and the initial weights beside it (.init.safetensors)"),
    "torch-prune": Format(torch_prune.save, "a state dict as torch.nn.utils.prune makes it: weight_orig, weight_mask"),
}


def export(format: str, path: str | os.PathLike, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
    """Write `masks` and the initial weights `state` (a whole state dict) to `path`; return the paths written.

    Raises `InputError` for an unknown format, masks that do not fit the weights, weights other than those that the
    masks were made for (where the metadata's `init_digest` tells), and a path that cannot be written to.
    """
    if format not in FORMATS:
        raise InputError(f'unknown format "{format}"{nearest(format, FORMATS)} (known: {", ".join(FORMATS)})')
    masks = check_fits(masks, state)
    digest = init_digest(state)
    if masks.metadata.get("init_digest", digest) != digest:
        raise InputError(
            f"these are not the initial weights that the masks were made for (digest {digest[:12]}, the masks name "
            f"{masks.metadata['init_digest'][:12]}); give the weights of the same study, model and seed."
        )
    return FORMATS[format].save(Path(path), masks, state)
