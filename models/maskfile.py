"""The mask file: safetensors, one uint8 tensor of packed bits per parameter, and string metadata."""

import hashlib
import json
import os
from collections.abc import Mapping
from math import prod

import numpy as np
import torch

from . import tensorfile
from .errors import InputError, naming
from .tensorfile import Header

FORMAT = "fullspectrum-masks"
FORMAT_VERSION = "1"

#: Metadata keys that the file format owns; their values follow from the masks.
RESERVED = ("format", "version", "shapes", "sparsity", "digest")


def digest(masks: Mapping[str, np.ndarray]) -> str:
    """Return the hex SHA-256 of the masks' names, shapes and bits, whatever their order."""
    result = hashlib.sha256()
    for name in sorted(masks):
        result.update(json.dumps([name, list(masks[name].shape)]).encode() + b"\n")
        result.update(_pack(masks[name]).tobytes())
    return result.hexdigest()


def encode(masks: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the file's bytes: bits packed in little bit order over the parameter's C order.

    `masks` are boolean arrays; the order of the parameters is kept in the `shapes` of the metadata.
    """
    own = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "shapes": json.dumps({name: list(mask.shape) for name, mask in masks.items()}),
        "sparsity": json.dumps({name: float(np.mean(~mask)) for name, mask in masks.items()}),
        "digest": digest(masks),
    }
    return tensorfile.dump({name: torch.from_numpy(_pack(mask)) for name, mask in masks.items()}, {**metadata, **own})


def decode(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a mask file; return boolean arrays by parameter name, and the metadata that the caller had saved.

    Raises `InputError`, naming the file, for anything that `encode` cannot have written.
    """
    header, packed = tensorfile.read(path, _check_header)
    with naming(path):
        shapes = _shapes(header)
        masks = {name: _unpack(name, packed[name].numpy(), shape) for name, shape in shapes.items()}
        if digest(masks) != header.metadata.get("digest"):
            raise InputError("corrupted (the masks do not match the digest in the file)")
    return masks, {key: value for key, value in header.metadata.items() if key not in RESERVED}


def _check_header(header: Header) -> None:
    if header.metadata.get("format") != FORMAT:
        raise InputError("not a mask file (a safetensors file, but not one that fullspectrum saved masks to)")
    if (version := header.metadata.get("version")) != FORMAT_VERSION:
        raise InputError(f"mask file of version {version!r}, this release reads {FORMAT_VERSION!r}; upgrade it")
    shapes = _shapes(header)
    if not shapes:
        raise InputError("holds no masks")
    if shapes.keys() != header.tensors.keys():
        raise InputError("corrupted (the shapes do not name the tensors of the file)")
    if sum(map(prod, shapes.values())) > tensorfile.ELEMENT_LIMIT:
        raise InputError(f"holds more than {tensorfile.ELEMENT_LIMIT} weights")
    for name, shape in shapes.items():
        if header.tensors[name] != ("U8", (-(-prod(shape) // 8),)):
            raise InputError(f"corrupted (the bits of {name!r} do not match its shape)")


def _shapes(header: Header) -> dict[str, tuple[int, ...]]:
    shapes = tensorfile.parse_strict_json(header.metadata.get("shapes", "null"))
    if not isinstance(shapes, dict) or not all(_is_shape(shape) for shape in shapes.values()):
        raise InputError("corrupted (it does not say the shapes of its masks)")
    return {name: tuple(shape) for name, shape in shapes.items()}


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and 1 <= len(shape) <= 32 and all(type(n) is int and n >= 1 for n in shape)


def _pack(mask: np.ndarray) -> np.ndarray:
    return np.packbits(np.ascontiguousarray(mask).reshape(-1), bitorder="little")


def _unpack(name: str, packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    bits = np.unpackbits(packed, bitorder="little")
    if bits[prod(shape) :].any():
        raise InputError(f"corrupted (bits set behind the end of {name!r})")
    return bits[: prod(shape)].view(bool).reshape(shape)
