"""What stands beside an export: what was written, as JSON, and the program that loads it."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError, first_line
from ..masks import MaskSet
from ..tensorfile import HEADER_LIMIT, parse_strict_json
from ..weights import init_digest
from .format import Format

#: Raised where a field changes its meaning, or goes.
SCHEMA_VERSION = 1


def sidecar_of(path: Path) -> Path:
    """Return the file that says what an export holds."""
    return path.with_name(f"{path.name}.json")


def snippet_of(path: Path) -> Path:
    """Return the program that loads an export."""
    return path.with_name(f"{path.name}.py")


def sidecar(
    name: str,
    format: Format,
    masks: MaskSet,
    state: Mapping[str, torch.Tensor] | None,
    prefix: str,
    provenance: Mapping[str, object],
) -> bytes:
    """Return the JSON of an export in the `format` called `name`.

    Names and digests are those without `prefix`. Raises `InputError` for a `provenance` that is no JSON object.
    """
    about = {
        "schema_version": SCHEMA_VERSION,
        "format": name,
        "prefix": prefix,
        "sparsity": masks.sparsity,
        "kept": masks.kept,
        "size": masks.size,
        "layers": masks.layer_sparsity,
        "mask": "inferred" if format.infers_masks else "exact",
        "kept_zeros": None if state is None else kept_zeros(masks, state),
        "weights": None if state is None else "kept" if format.zeroes_removed else "all",
        "mask_digest": masks.digest(),
        "weights_digest": masks.metadata.get("init_digest") if state is None else init_digest(state),
        "provenance": _plain(provenance),
    }
    return json.dumps(about, indent=2, allow_nan=False).encode() + b"\n"


def provenance_of(path: Path, masks: MaskSet) -> dict[str, object] | None:
    """Return the provenance that stands beside an export of `masks`; None where there is none, or it is of others."""
    file = sidecar_of(path)
    try:
        if not file.is_file() or file.stat().st_size > HEADER_LIMIT:
            return None
        about = parse_strict_json(file.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(about, dict) or about.get("mask_digest") != masks.digest():
        return None
    found = about.get("provenance")
    return found if isinstance(found, dict) else None


def kept_zeros(masks: MaskSet, state: Mapping[str, torch.Tensor]) -> int:
    """Return the number of kept weights that are exactly 0: who infers masks from weights takes them for removed."""
    return sum(int(np.count_nonzero((state[name] == 0).cpu().numpy() & mask)) for name, mask in masks.items())


def _plain(provenance: Mapping[str, object]) -> object:
    """Return `provenance` as JSON holds it: numbers that are not finite become null."""
    try:
        return json.loads(json.dumps(dict(provenance)), parse_constant=lambda constant: None)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the provenance must be a JSON object ({first_line(error)})") from error
