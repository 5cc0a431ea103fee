"""Masks and initial weights written in the format of another trainer, and read back."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import InputError, naming
from ..masks import MaskSet, check_fits
from ..weights import init_digest
from .format import Format
from .registry import FORMATS


def export(format: str, path: str | os.PathLike[str], masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
    """Write `masks` and the initial weights `state` (a whole state dict) to `path`; return the paths written.

    Raises `InputError` for an unknown format, masks that do not fit the weights, weights other than those that the
    masks were made for (where the metadata's `init_digest` tells), and a path that cannot be written to.
    """
    return FORMATS.make(format, Format).save(Path(path), _matched(masks, state), state)


def load(format: str, path: str | os.PathLike[str]) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
    """Read masks, and the initial weights where the file has them, in `format`, trusting nothing in it.

    Raises `InputError` for an unknown format, for whatever is not a complete file of it, and for masks that do not fit
    the weights or were made for others.
    """
    masks, state = FORMATS.make(format, Format).load(Path(path))
    with naming(path):
        return masks if state is None else _matched(masks, state), state


def _matched(masks: MaskSet, state: Mapping[str, torch.Tensor]) -> MaskSet:
    """Return the masks under the names of the weights, where they fit them and were made for no others."""
    masks = check_fits(masks, state)
    digest = init_digest(state)
    if masks.metadata.get("init_digest", digest) != digest:
        raise InputError(
            f"these are not the initial weights that the masks were made for (digest {digest[:12]}, the masks name "
            f"{masks.metadata['init_digest'][:12]}); give the weights of the same study, model and seed"
        )
    return masks
