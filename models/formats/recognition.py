"""Which format a file is in, by its first bytes and what it names."""

import os
import stat
import zipfile
from pathlib import Path

from .. import maskfile, tensorfile, torchfile
from ..errors import InputError, naming
from .format import Format
from .registry import FORMATS

#: What files begin with that no format reads, and the way out.
_OTHERS = {
    b"\x80": "a pickle, which can run code; where you trust it, load it and save it with torch.save as a state dict",
    b"\x93NUMPY": "a NumPy array; save masks by parameter name with torch.save",
    b"\x89HDF": "an HDF5 file; save masks by parameter name with torch.save",
    b"\x1f\x8b": "a gzip archive; unpack it",
}

#: Bytes that tell one kind from another.
_FIRST = 16


def recognise(path: str | os.PathLike[str]) -> str:
    """Return the name of the format of a file; of its tensors only a few values are read, and nothing in it is run.

    Raises `InputError`, naming the file, where it is in none, saying what it is where that is known.
    """
    path = Path(path)
    with naming(path):
        first, size = _first(path)
        # First, because the length of its header may begin as anything else does.
        if 2 <= int.from_bytes(first[:8], "little") <= size - 8 and first[8:9] == b"{":
            return _in_tensorfile(path)
        for beginning, kind in _OTHERS.items():
            if first.startswith(beginning):
                raise InputError(f"is {kind}")
        if first.startswith(b"PK\x03\x04"):
            return _in_archive(path)
        if first[:1] == b"\x08" and first[1:2] < b"\x20":
            # The version of ONNX, with which each model begins.
            return "onnx"
        raise InputError(f"is in none of the formats that are read: {', '.join(FORMATS)}")


def _first(path: Path) -> tuple[bytes, int]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError("is a folder or a device; give the path of a file of masks")
        with path.open("rb") as file:
            return file.read(_FIRST), status.st_size
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error


def _in_tensorfile(path: Path) -> str:
    """Return the format of a safetensors file: masks of ours, or the weights of anybody."""
    metadata = tensorfile.read_header(path).metadata
    return "fullspectrum" if metadata.get("format") == maskfile.FORMAT else "state-dict"


def _in_archive(path: Path) -> str:
    """Return the format of a file of torch.save."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"is a truncated archive ({error})") from error
    if any(name.endswith(".npy") for name in names):
        raise InputError("is an archive of NumPy (.npz); save masks by parameter name with torch.save")
    return torchfile.peek(path, _of_content)


def _of_content(content: object) -> str:
    content = torchfile.unwrapped(content)
    for name in FORMATS:
        if FORMATS.make(name, Format).recognises(content):
            return name
    raise InputError(f"holds no masks in any of the formats that are read: {', '.join(FORMATS)}")
