"""Masks and initial weights written in the format of another trainer, and read back."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import InputError, naming
from ..files import check_target, write_atomically
from ..masks import HasShape, MaskSet, check_fits
from ..weights import init_digest
from .differences import check_same
from .format import Format
from .prefix import with_prefix
from .registry import FORMATS
from .sidecar import sidecar, sidecar_of, snippet_of
from .tied import under_one_name


def export(
    format: str,
    path: str | os.PathLike[str],
    masks: MaskSet,
    state: Mapping[str, torch.Tensor] | None,
    *,
    prefix: str = "",
    provenance: Mapping[str, object] | None = None,
) -> list[Path]:
    """Write `masks` and the initial weights `state` (a whole state dict) to `path`; return the paths written.

    Beside them stand `PATH.json`, which says what was written and holds the `provenance`, a JSON object of the
    caller's, and `PATH.py`, a program that loads it in its trainer. `prefix` (`backbone.`) is put before the name of
    every parameter. `state` is None for masks alone. What was written is read again and compared.

    Raises `InputError` for an unknown format, masks that do not fit the weights, weights other than those that the
    masks were made for (where the metadata's `init_digest` tells), a format that needs weights where there are none, a
    path that cannot be written to, and a file that does not hold what was to be written, which is removed.
    """
    made, path = FORMATS.make(format, Format), Path(path)
    if state is None and made.needs_weights:
        raise InputError(
            f'format "{format}" cannot be written without weights; give them, or take the format fullspectrum'
        )
    masks = masks if state is None else _matched(masks, state)
    about = sidecar(format, made, masks, state, prefix, provenance or {})
    named, weights = with_prefix(prefix, masks, state)
    program = made.snippet(path, format, weights=state is not None, strict=not prefix)
    for target in (path, sidecar_of(path), snippet_of(path)):
        check_target(target)
    written = made.save(path, named, weights)
    try:
        check_same(made, path, named, weights)
    except InputError:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return [
        *written,
        write_atomically(sidecar_of(path), about),
        write_atomically(snippet_of(path), program.encode()),
    ]


def load(
    format: str, path: str | os.PathLike[str], parameters: Mapping[str, HasShape] | None = None
) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
    """Read masks, and the initial weights where the file has them, in `format`, trusting nothing in it.

    `parameters`, of the network that the masks are for, in its order, are needed where a format names none and there
    are no weights beside it. Raises `InputError` for an unknown format, for whatever is not a complete file of it, and
    for masks that do not fit the weights or were made for others.
    """
    made = FORMATS.make(format, Format)
    masks, state = made.load(Path(path))
    with naming(path):
        known = parameters if parameters is not None else state
        if known is not None:
            masks = made.named(masks, known)
        if state is None:
            return masks, None
        return _matched(MaskSet(under_one_name(masks, state), masks.metadata), state), state


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
