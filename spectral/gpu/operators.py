"""Gram operators on a device, for the Lanczos recurrence to run on; see `operators`."""

import warnings

import numpy as np
import torch

from ..operators import GramOperator
from .dense import DenseMatrices
from .matrices import EdgeMatrices, starts


class DeviceOperator(GramOperator[torch.Tensor]):
    """Operators whose vectors are tensors on one device."""

    _device: torch.device

    def noise(self, seed: int) -> torch.Tensor:
        """Return the same numbers as `HostOperator.noise`."""
        table = np.random.default_rng(seed).standard_normal(self.width)
        within = torch.arange(self.width, device=self._device) < self._tensor(self.sides)[:, None]
        return self._tensor(table) * within

    def dots(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the inner product of each row."""
        return (one * other).sum(1, keepdim=True)

    def host(self, numbers: list[torch.Tensor]) -> np.ndarray:
        """Return the columns side by side, transposed, on the host."""
        return np.asarray(torch.cat(numbers, dim=1).T.cpu().numpy())

    def device(self, numbers: np.ndarray) -> torch.Tensor:
        """Return the numbers as a column on the device."""
        return self._tensor(numbers)[:, None]

    def _tensor(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self._device)


class SparseGrams(DeviceOperator):
    """Many sparse matrices as one block-diagonal matrix, each by its small side: A·Aᵀ, or AᵀA of fewer columns."""

    def __init__(self, matrices: EdgeMatrices, width: int | None = None) -> None:
        self._matrices, self._device = matrices, matrices.row.device
        self.sides = np.minimum(matrices.rows, matrices.columns)
        self.width = width or int(self.sides.max())
        by_column = matrices.of_each(matrices.columns < matrices.rows)
        outer = torch.where(by_column, matrices.column, matrices.row)
        outer += matrices.of_each(np.arange(len(matrices)) * self.width)
        large = np.maximum(matrices.rows, matrices.columns)
        inner = torch.where(by_column, matrices.row, matrices.column) + matrices.of_each(starts(large))
        shape = (len(matrices) * self.width, int(large.sum()))
        self._outer = _compressed(outer, inner, matrices.values, shape)
        self._inner = _compressed(inner, outer, matrices.values, shape[::-1])

    def subset(self, chosen: np.ndarray) -> "SparseGrams":
        """Return the operators where `chosen` holds."""
        return SparseGrams(self._matrices.take(np.flatnonzero(chosen)), self.width)

    def multiply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return each operator applied to its row: two sparse products."""
        return (self._outer @ (self._inner @ vectors.reshape(-1))).reshape(vectors.shape)


class DenseGrams(DeviceOperator):
    """AᵀA of dense matrices, whose columns are their small side."""

    def __init__(self, matrices: DenseMatrices, width: int | None = None) -> None:
        self._matrices, self._device, self.sides = matrices, matrices.matrices[0].device, matrices.columns
        self.width = width or int(self.sides.max())

    def subset(self, chosen: np.ndarray) -> "DenseGrams":
        """Return the operators where `chosen` holds."""
        return DenseGrams(self._matrices.take(np.flatnonzero(chosen)), self.width)

    def multiply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return each operator applied to its row."""
        products = torch.zeros_like(vectors)
        for matrix, vector, product in zip(self._matrices.matrices, vectors, products, strict=True):
            side = matrix.shape[1]
            torch.mv(matrix.T, matrix @ vector[:side], out=product[:side])
        return products


def _compressed(row: torch.Tensor, column: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Return a matrix of edges in compressed rows, with indices of 32 bits where they fit."""
    order = torch.sort(row, stable=True).indices
    offsets = row.new_zeros(shape[0] + 1)
    torch.cumsum(torch.bincount(row, minlength=shape[0]), dim=0, out=offsets[1:])
    kind = torch.int32 if max(len(row), *shape) < 2**31 else torch.int64
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # torch calls them beta
        return torch.sparse_csr_tensor(
            offsets.to(kind), column[order].to(kind), values[order], shape, device=row.device, check_invariants=False
        )
