"""Files of torch.save that hold a state dict: the same bytes for the same content, and nothing trusted on reading."""

import io
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from .errors import InputError, first_line
from .files import write_atomically
from .sharing import copied, memory_of
from .tensorfile import ELEMENT_LIMIT, check_booleans

#: Bytes of the file's pickle at most: names, shapes and dtypes of the tensors.
PICKLE_LIMIT = 10_000_000


def write(path: Path, state: Mapping[str, torch.Tensor]) -> Path:
    """Write `state` to `path`, whole or not at all, as `torch.load(weights_only=True)` reads it.

    Names of one tensor have one in the file.
    """
    # A copy, because torch.save writes a view's whole storage; through memory, because it writes the file's own name.
    buffer = io.BytesIO()
    torch.save(copied(state), buffer)
    return write_atomically(path, buffer.getvalue())


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict, tensors by name, on the CPU; names that were saved with one tensor have one.

    Only what `torch.save` writes since version 1.6, and no more elements than the file has room for: neither
    compression nor a stride of 0 makes a small file take much memory. Raises `InputError`, naming the file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError("is a folder or a device; give the path of a file of torch.save")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _check_archive(file, size)
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
        return _own(_checked_state(state), size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:
        raise InputError(f"{path}: not a readable file of torch.save ({first_line(error)})") from error


def _check_archive(file: io.BufferedReader, size: int) -> None:
    """Refuse an archive that would unpack to more than the file, or whose pickle is a large one."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise InputError("holds compressed data, which torch.save never writes")
    if sum(member.file_size for member in members) > size:
        raise InputError("corrupted (its parts overlap)")
    if sum(member.file_size for member in members if member.filename.endswith(".pkl")) > PICKLE_LIMIT:
        raise InputError(f"its pickle takes more than {PICKLE_LIMIT} bytes")


def _checked_state(state: object) -> dict[str, torch.Tensor]:
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise InputError("holds no state dict: tensors by name")
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise InputError(f"holds something else than a dense tensor under {name!r}")
    if sum(tensor.numel() for tensor in state.values()) > ELEMENT_LIMIT:
        raise InputError(f"holds more than {ELEMENT_LIMIT} elements")
    return state


def _own(state: Mapping[str, torch.Tensor], size: int) -> dict[str, torch.Tensor]:
    """Return copies with memory of their own, for together at most the `size` bytes of the file."""
    distinct = {memory_of(tensor): tensor for tensor in state.values()}
    if sum(tensor.numel() * tensor.element_size() for tensor in distinct.values()) > size:
        raise InputError("declares more elements than it holds")
    check_booleans(state)
    return copied(state)
