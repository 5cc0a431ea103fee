"""Dense matrices on one device."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class DenseMatrices:
    """Dense matrices of absolute values on a device, float64, none with more columns than rows.

    It has the methods of `EdgeMatrices`, with every entry an edge.
    """

    matrices: list[torch.Tensor]

    @classmethod
    def of_weights(cls, weights: list[torch.Tensor]) -> "DenseMatrices":
        """Return the absolute values of `weights`; matrices are transposed where they have fewer rows."""
        magnitudes = (matrix.to(torch.float64).abs() for matrix in weights)
        return cls([matrix.T if matrix.shape[0] < matrix.shape[1] else matrix for matrix in magnitudes])

    @property
    def rows(self) -> np.ndarray:
        """The number of rows of each matrix."""
        return np.array([matrix.shape[0] for matrix in self.matrices])

    @property
    def columns(self) -> np.ndarray:
        """The number of columns of each matrix."""
        return np.array([matrix.shape[1] for matrix in self.matrices])

    @property
    def edges(self) -> np.ndarray:
        """The number of entries of each matrix."""
        return np.array([matrix.numel() for matrix in self.matrices])

    def __len__(self) -> int:
        return len(self.matrices)

    def take(self, numbers: np.ndarray) -> "DenseMatrices":
        """Return the matrices of these numbers."""
        return DenseMatrices([self.matrices[number] for number in numbers])

    def scaled(self, scales: np.ndarray) -> "DenseMatrices":
        """Return the matrices, each divided by its scale."""
        return DenseMatrices([matrix / scale for matrix, scale in zip(self.matrices, scales.tolist(), strict=True)])

    def extremes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each matrix's largest entry; over that, how far the smallest lies below it, and the norm of all."""
        found = []
        for matrix in self.matrices:
            largest = matrix.amax()
            scaled = matrix / (largest + (largest == 0))
            found.append(torch.stack([largest, 1 - scaled.amin(), torch.linalg.vector_norm(scaled)]))
        return tuple(torch.stack(found).T.cpu().numpy())

    def toarray(self, number: int) -> torch.Tensor:
        """Return one matrix."""
        return self.matrices[number]

    def components(self) -> tuple["DenseMatrices", np.ndarray]:
        """Return the matrices themselves, taken for connected, and which matrix each is."""
        return self, np.arange(len(self))
