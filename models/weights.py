"""Initial weights: their digest, and the file that keeps them beside a mask."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from . import tensorfile, torchfile
from .errors import InputError, naming
from .files import write_atomically
from .sharing import shared_again, shared_names

FORMAT = "fullspectrum-weights"


def init_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return the hex SHA-256 of names, dtypes, shapes and bytes of a state dict, whatever its order or device."""
    result = hashlib.sha256()
    for name in sorted(check_state(state)):
        tensor = state[name].detach().cpu().contiguous()
        result.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode() + b"\n")
        result.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return result.hexdigest()


def save_state(
    path: str | os.PathLike[str], state: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> Path:
    """Write a whole state dict, parameters and buffers, atomically as safetensors with its digest; return the path.

    A tensor of several names is written under each, because every reader looks there, and the file says so.
    The same bytes in every process. Raises `InputError` for an entry that is no tensor and for paths that
    `files.check_target` refuses.
    """
    own = {"format": FORMAT, "init_digest": init_digest(state)}
    if shared := shared_names(state):
        own["shared"] = json.dumps(shared)
    return write_atomically(path, tensorfile.dump(check_state(state), {**(metadata or {}), **own}))


def load_state(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Read the state dict of any file of safetensors or torch.save, on the CPU; a digest in the file is verified.

    Names of one tensor, where the file says so, have one.
    Raises `InputError`, naming the file, when it is missing, truncated, corrupted or something else.
    """
    if torchfile.is_archive(path):
        return torchfile.read(Path(path))
    header, state = tensorfile.read(path)
    if header.metadata.get("init_digest", digest := init_digest(state)) != digest:
        raise InputError(f"{path}: corrupted (the weights do not match the digest in the file)")
    if header.metadata.get("format") != FORMAT:
        return state
    with naming(path):
        return shared_again(state, tensorfile.parse_strict_json(header.metadata.get("shared", "[]")))


def check_state(state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Return `state`. Raises `InputError` for an entry that is no tensor, as a module's extra state may be."""
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"the state dict's {name!r} is no tensor but a {type(value).__name__}; it cannot be saved")
    return state
