"""Masks from a file of whatever trainer."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..errors import InputError, naming
from ..masks import HasShape, MaskSet, check_fits, plain_name
from .conversion import load
from .format import Format
from .recognition import recognise
from .registry import FORMATS


@dataclass(frozen=True)
class Found:
    """What a file holds."""

    format: str
    masks: MaskSet
    """Under the file's names, without those of wrappers (DataParallel, torch.compile)."""
    state: dict[str, torch.Tensor] | None
    """The weights that came with the masks."""
    inferred: bool
    """Whether the masks are what is not 0 in the weights."""
    named: bool
    """Whether the masks are called by their parameters, and not by numbers."""
    left_out: tuple[str, ...]
    """Biases that the file prunes; here they are kept whole."""

    def describe(self) -> str:
        """Return what was found, in one line."""
        masks = self.masks
        line = (
            f"format {self.format}: {len(masks)} layers, {masks.kept:,} of {masks.size:,} weights kept (sparsity "
            f"{masks.sparsity:.4f})"
        )
        if masks.sparsity == 0:
            line += "; it is dense: the masks remove no weight"
        if self.inferred:
            line += "; it holds no mask: what is 0 was taken for removed, a kept weight of exactly 0 too"
        if self.left_out:
            line += f"; biases are left dense: {', '.join(self.left_out)}"
        return line


def read(
    path: str | os.PathLike[str], format: str | None = None, parameters: Mapping[str, HasShape] | None = None
) -> Found:
    """Read the masks of a file, in `format` or in the one that it is recognised as, trusting nothing in it.

    With `parameters`, of a network in its order, the masks come under their names. Raises `InputError`, naming the
    file, for whatever `recognise` and `load` do, and for masks that do not fit, listing all.
    """
    format = format or recognise(path)
    made = FORMATS.make(format, Format)
    masks, state = load(format, path, parameters)
    named = made.names_parameters or parameters is not None or state is not None
    with naming(path):
        masks, left_out = _without_biases(_plain(masks))
        if state is not None:
            state = {plain_name(name): tensor for name, tensor in state.items()}
        if parameters is not None:
            masks = check_fits(masks, parameters)
    return Found(format, masks, state, made.infers_masks, named, left_out)


def _plain(masks: MaskSet) -> MaskSet:
    names = {plain_name(name): name for name in masks}
    if len(names) < len(masks):
        raise InputError("names a parameter twice, with and without a wrapper's prefix")
    return MaskSet({plain: masks[name] for plain, name in names.items()}, masks.metadata)


def _without_biases(masks: MaskSet) -> tuple[MaskSet, tuple[str, ...]]:
    biases = tuple(name for name in masks if name.rpartition(".")[2] == "bias")
    if len(biases) == len(masks):
        raise InputError("masks biases alone, which are kept whole here")
    return MaskSet({name: mask for name, mask in masks.items() if name not in biases}, masks.metadata), biases
