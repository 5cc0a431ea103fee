"""Compressed sparse rows, as torch.sparse_csr_tensor takes them."""

from collections.abc import Hashable, Mapping
from math import prod

import numpy as np
import torch

from ..errors import InputError
from ..masks import MaskSet
from ..sharing import memory_of
from .sparse import check_expansion, scattered
from .tied import masked_first, under_every_name
from .torchformat import StateFormat, is_by_name

_PARTS = ("crow_indices", "col_indices", "values", "shape")


class CSR(StateFormat):
    """A state dict in which each masked weight is `<name>.crow_indices`, `.col_indices`, `.values` and `.shape`.

    A weight of more than two axes is flattened to (out, rest); `shape` is its own. Kept weights of 0 have an entry too.
    """

    description = "compressed sparse rows for torch.sparse_csr_tensor; convolutions flattened to 2-D"
    zeroes_removed = True
    template = '''\
"""Build the sparse weights of a network from compressed sparse rows."""

from pathlib import Path

import torch

HERE = Path(__file__).parent


def matrices():
    """Return each sparse weight as a torch.sparse_csr_tensor (out, rest), and its own shape, by parameter name."""
    content = torch.load(HERE / $file, weights_only=True)
    names = [key.removesuffix(".crow_indices") for key in content if key.endswith(".crow_indices")]
    result = {}
    for name in names:
        rows, columns, values, shape = (
            content[f"{name}.{part}"] for part in ("crow_indices", "col_indices", "values", "shape")
        )
        size = (int(shape[0]), int(shape[1:].prod()))
        matrix = torch.sparse_csr_tensor(rows, columns, values, size, check_invariants=True)
        result[name] = matrix, tuple(shape.tolist())
    return result


def load(model):
    """Return `model` with the weights, 0 where there is no entry. Nothing keeps them at 0 while it trains."""
    sparse = matrices()
    content = torch.load(HERE / $file, weights_only=True)
    state = {key: each for key, each in content.items() if key.rpartition(".")[0] not in sparse}
    state |= {name: matrix.to_dense().reshape(shape) for name, (matrix, shape) in sparse.items()}
    model.load_state_dict(state, strict=$strict)
    return model
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the rows of masked weights, and the rest as it is."""
        result: dict[str, torch.Tensor] = {}
        every = under_every_name(masks, state)
        rows: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in masked_first(state, masks).items():
            if name not in every:
                result[name] = tensor
                continue
            # The names of a tensor have one mask, the same array, and share the parts.
            if id(every[name]) not in rows:
                rows[id(every[name])] = _rows(every[name], tensor)
            result |= {f"{name}.{part}": each for part, each in rows[id(every[name])].items()}
        return result

    def decode(self, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return where there are entries, and the weights, 0 elsewhere. Raises `InputError` for what are no rows."""
        parts = {name: tuple(state[f"{name}.{part}"] for part in _PARTS) for name in _sparse(state)}
        distinct = {tuple(map(memory_of, those)): those for those in parts.values()}
        size = sum(part.numel() * part.element_size() for those in distinct.values() for part in those)
        check_expansion([_shape(shape) for *_, shape in distinct.values()], size)
        dense: dict[Hashable, tuple[torch.Tensor, torch.Tensor]] = {}
        for name, (rows, columns, values, shape) in parts.items():
            # The names of a tensor share the parts, and have one tensor again.
            if (key := tuple(map(memory_of, parts[name]))) not in dense:
                places = _places(name, rows.numpy(), columns.numpy(), _shape(shape))
                dense[key] = scattered(name, places, values, _shape(shape))
        entries = {name: dense[tuple(map(memory_of, those))] for name, those in parts.items()}
        weights = {key: each for key, each in state.items() if key.rpartition(".")[0] not in parts}
        masks = {name: mask for name, (mask, _) in entries.items()}
        return masks, {name: weight for name, (_, weight) in entries.items()} | weights

    def recognises(self, content: object) -> bool:
        """Return whether any weight stands there as rows."""
        return is_by_name(content) and bool(_sparse(content))


def _sparse(state: Mapping[str, torch.Tensor]) -> list[str]:
    names = [key.removesuffix(".crow_indices") for key in state if key.endswith(".crow_indices")]
    return [name for name in names if all(f"{name}.{part}" in state for part in _PARTS)]


def _rows(mask: np.ndarray, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    flat = mask.reshape(mask.shape[0], -1)
    rows = np.concatenate([[0], np.cumsum(np.count_nonzero(flat, axis=1))])
    values = weight.detach().cpu().reshape(flat.shape)[torch.tensor(flat)]
    columns = torch.from_numpy(np.nonzero(flat)[1])
    return dict(zip(_PARTS, (torch.from_numpy(rows), columns, values, torch.tensor(mask.shape)), strict=True))


def _shape(shape: torch.Tensor) -> list[int]:
    if shape.ndim != 1 or shape.dtype != torch.int64:
        raise InputError(f"holds a shape that is none: {shape.dtype} of {tuple(shape.shape)}")
    return shape.tolist()


def _places(name: str, rows: np.ndarray, columns: np.ndarray, shape: list[int]) -> np.ndarray:
    """Return the flat indices of the entries. Raises `InputError` for rows and columns that do not fit the shape."""
    width = prod(shape[1:])
    fit = (
        rows.dtype.kind in "iu"
        and columns.dtype.kind in "iu"
        and rows.shape == (shape[0] + 1,)
        and columns.ndim == 1
        and (rows[0], rows[-1]) == (0, columns.size)
        and (np.diff(rows) >= 0).all()
        and (not columns.size or (columns.min() >= 0 and columns.max() < width))
    )
    if not fit:
        raise InputError(f"the rows and columns of {name} do not fit its shape {tuple(shape)}")
    places: np.ndarray = np.repeat(np.arange(shape[0]), np.diff(rows)) * width + columns
    return places
