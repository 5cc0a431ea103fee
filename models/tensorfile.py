"""Safetensors files: the same bytes for the same content, and nothing trusted on reading."""

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError

from .errors import InputError, first_line

#: Bytes of header read at most: parsing the 100 MB that the library allows takes 14 s and 400 MB.
HEADER_LIMIT = 1_000_000

#: Elements held at most by the tensors of one file.
ELEMENT_LIMIT = 2**32

_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16}
_BITS |= {"U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64}
_MOST_DIMENSIONS = 32


@dataclass(frozen=True)
class Header:
    """The declarations of a file: string metadata, and (dtype, shape) by tensor name in the order of the header."""

    metadata: dict[str, str]
    tensors: dict[str, tuple[str, tuple[int, ...]]]


def dump(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the safetensors bytes of `tensors`, equal for equal content in every process.

    Raises `InputError` when names and metadata together exceed `HEADER_LIMIT`, which no reader would accept.
    """
    # Clones, because the library refuses tensors that share storage (tied weights).
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    raw = safetensors.torch.save(own, dict(metadata))
    start = 8 + int.from_bytes(raw[:8], "little")
    # The library keeps the metadata in a hash map whose order is drawn anew in each process.
    header = json.dumps(json.loads(raw[8:start]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER_LIMIT:
        raise InputError(f"names and metadata take {len(header)} bytes, more than the {HEADER_LIMIT} of a file header")
    return b"".join((len(header).to_bytes(8, "little"), header, memoryview(raw)[start:]))


def read(
    path: str | os.PathLike[str], check: Callable[[Header], None] = lambda header: None
) -> tuple[Header, dict[str, torch.Tensor]]:
    """Read a safetensors file, calling `check(header)` before any memory is taken for its tensors.

    `check` raises `InputError` to refuse; its message, like all others, is prefixed with the path.
    Raises `InputError` for whatever is not a complete, consistent regular file.
    """
    with _opened(path) as (file, header, raw):
        check(header)
        content = b"".join((len(raw).to_bytes(8, "little"), raw, file.read()))
        tensors = safetensors.torch.load(content)
        check_booleans(tensors)
    return header, {name: tensors[name] for name in header.tensors}


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the declarations of a safetensors file alone. Raises `InputError` as `read` does."""
    with _opened(path) as (_, header, _):
        return header


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, Header, bytes]]:
    """Yield a file behind its header, the header, and its bytes; turn all errors into `InputError` with the path."""
    path = Path(path)
    try:
        with _open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = _header_length(file.read(8), size)
            raw = file.read(length)
            yield file, _parse(raw, size - 8 - length), raw
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({first_line(error)})") from error


def check_booleans(tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise `InputError` for a boolean tensor with a byte that is neither 0 nor 1: operators disagree on what it is."""
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bool and (tensor.view(torch.uint8) > 1).any():
            raise InputError(f"corrupted ({name!r} holds bytes that are no booleans)")


def _open_regular(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or a device would block or never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError("is a folder or a device; give the path of a safetensors file")
    return path.open("rb")


def _header_length(prefix: bytes, size: int) -> int:
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length < 2:
        raise InputError("not a safetensors file (it has no header)")
    if length > HEADER_LIMIT:
        raise InputError(f"not a mask or weight file (header of {length} bytes, at most {HEADER_LIMIT} are read)")
    if 8 + length > size:
        raise InputError(f"truncated or not a safetensors file (header of {length} bytes in a file of {size})")
    return length


def _parse(raw: bytes, data_size: int) -> Header:
    try:
        document = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InputError("corrupted header (nested too deeply)") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"not a safetensors file (its header is not JSON: {first_line(error)})") from error
    if not isinstance(document, dict):
        raise InputError("corrupted header (not a JSON object)")
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InputError("corrupted header (its metadata are not strings)")
    spans = {name: _span(name, entry) for name, entry in document.items()}
    _check_spans([span for span, _, _ in spans.values()], data_size)
    tensors = {name: (dtype, shape) for name, (_, dtype, shape) in spans.items()}
    if sum(prod(shape) for _, shape in tensors.values()) > ELEMENT_LIMIT:
        raise InputError(f"holds more than {ELEMENT_LIMIT} elements")
    return Header(metadata, tensors)


def _span(name: str, entry: object) -> tuple[tuple[int, int], str, tuple[int, ...]]:
    """Check one tensor's declaration; return its byte span, dtype and shape."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise InputError(f"corrupted header (tensor {name!r} lacks dtype, shape or data_offsets)")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise InputError(f"tensor {name!r} has the unknown dtype {dtype!r}")
    if not _is_sizes(shape) or not _is_sizes(offsets) or len(offsets) != 2 or len(shape) > _MOST_DIMENSIONS:
        raise InputError(f"corrupted header (shape or offsets of tensor {name!r})")
    if offsets[1] - offsets[0] != prod(shape) * _BITS[dtype] // 8:
        raise InputError(f"corrupted header (shape of tensor {name!r} does not match its bytes)")
    return (offsets[0], offsets[1]), dtype, tuple(shape)


def _check_spans(spans: list[tuple[int, int]], data_size: int) -> None:
    """Check that the tensors tile the data exactly: no overlap, no hole, nothing behind."""
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            raise InputError("corrupted header (tensors overlap or leave holes)")
        position = end
    if position != data_size:
        raise InputError(f"truncated or corrupted ({data_size} bytes of data, {position} declared)")


def _is_sizes(value: object) -> bool:
    # bool is an int to isinstance, and JSON's true is no size.
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise InputError(f"corrupted header (key {next(n for n in names if names.count(n) > 1)!r} stands twice)")
    return result


def _refuse_constant(constant: str) -> None:
    raise InputError(f"corrupted header ({constant} is not JSON)")


def parse_strict_json(text: str) -> object:
    """Parse JSON that repeats no key and holds neither NaN nor infinity. Raises `InputError`."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"corrupted metadata ({first_line(error)})") from error
