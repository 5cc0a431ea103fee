"""A masked weight as compressed sparse rows."""

import warnings

import numpy as np
import torch

#: Bytes of an index: int64, as torch makes them (`Tensor.to_sparse_csr`).
INDEX_BYTES = 8


def csr_bytes(mask: np.ndarray, value_bytes: int) -> int:
    """Return the bytes of row pointers, column indices and values of a weight, unrolled to (first axis, rest)."""
    kept = int(np.count_nonzero(mask))
    rows: int = mask.shape[0]
    return (rows + 1 + kept) * INDEX_BYTES + kept * value_bytes


def compressed(mask: np.ndarray, weight: torch.Tensor, groups: int = 1) -> torch.Tensor:
    """Return the kept weights as torch.sparse_csr, unrolled to (out, groups · rest); kept weights of 0 have an entry.

    The rows of each group have their columns beside those of the other groups, so that one product does all of them.
    """
    flat = mask.reshape(mask.shape[0], -1)
    rows, columns = np.nonzero(flat)
    pointers = np.concatenate([[0], np.cumsum(np.count_nonzero(flat, axis=1))])
    values = weight.detach().cpu().reshape(flat.shape)[torch.tensor(flat)]
    columns += rows // (len(flat) // groups) * flat.shape[1]
    size = (len(flat), groups * flat.shape[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            torch.from_numpy(pointers), torch.from_numpy(columns), values, size, check_invariants=False
        )
