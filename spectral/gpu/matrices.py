"""Many sparse matrices on one device."""

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class EdgeMatrices:
    """Sparse matrices with entries >= 0, side by side, as lists of edges on a device.

    `rows`, `columns` and `edges` say how many each matrix has, shape (matrices,), on the host, where they decide the
    shapes of all else. `row`, `column` (int64, counted within the matrix) and `values` (float64) are tensors with an
    entry for each edge, those of a matrix behind those of the one before.
    """

    rows: np.ndarray
    columns: np.ndarray
    edges: np.ndarray
    row: torch.Tensor
    column: torch.Tensor
    values: torch.Tensor

    def __len__(self) -> int:
        return len(self.edges)

    @classmethod
    def empty(cls, device: torch.device) -> "EdgeMatrices":
        """Return a list without matrices."""
        none, nothing = np.zeros(0, dtype=np.int64), torch.zeros(0, dtype=torch.int64, device=device)
        return cls(none, none, none, nothing, nothing, nothing.to(torch.float64))

    @classmethod
    def joined(cls, *several: "EdgeMatrices") -> "EdgeMatrices":
        """Return the matrices of several lists as one."""
        return cls(
            np.concatenate([one.rows for one in several]),
            np.concatenate([one.columns for one in several]),
            np.concatenate([one.edges for one in several]),
            torch.cat([one.row for one in several]),
            torch.cat([one.column for one in several]),
            torch.cat([one.values for one in several]),
        )

    def of_each(self, numbers: np.ndarray) -> torch.Tensor:
        """Return a number for each matrix, repeated for each of its edges."""
        return repeated(numbers, self.edges, self.row.device)

    def take(self, numbers: np.ndarray, patterns: np.ndarray | None = None) -> "EdgeMatrices":
        """Return the matrices of these numbers, which may repeat; with all entries 1 where `patterns` holds."""
        chosen = ranges(starts(self.edges)[numbers], self.edges[numbers], self.row.device)
        taken = EdgeMatrices(
            self.rows[numbers],
            self.columns[numbers],
            self.edges[numbers],
            self.row[chosen],
            self.column[chosen],
            self.values[chosen],
        )
        if patterns is not None:
            taken.values[taken.of_each(patterns)] = 1.0
        return taken

    def scaled(self, scales: np.ndarray) -> "EdgeMatrices":
        """Return the matrices, each divided by its scale."""
        return replace(self, values=self.values / self.of_each(scales))

    def extremes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each matrix's largest entry; over that, how far the smallest lies below it, and the norm of all."""
        largest = self._reduced(self.values, "max")
        scaled = self.values / repeated(largest + (largest == 0), self.edges, self.row.device)
        found = torch.stack([largest, self._reduced(1 - scaled, "max"), self._reduced(scaled**2, "sum") ** 0.5])
        return tuple(found.cpu().numpy())

    def sums(self) -> np.ndarray:
        """Return the sum of each matrix's entries."""
        return np.asarray(self._reduced(self.values, "sum").cpu().numpy())

    def _reduced(self, values: torch.Tensor, reduction: str) -> torch.Tensor:
        """Return a number of each matrix, reduced from a number of each of its edges."""
        offsets = torch.from_numpy(np.append(starts(self.edges), self.edges.sum())).to(self.row.device)
        return torch.segment_reduce(values, reduction, offsets=offsets, initial=0.0, unsafe=True)

    def toarray(self, number: int) -> torch.Tensor:
        """Return one matrix, dense."""
        first = int(self.edges[:number].sum())
        chosen = slice(first, first + int(self.edges[number]))
        dense = self.values.new_zeros(int(self.rows[number]), int(self.columns[number]))
        dense[self.row[chosen], self.column[chosen]] = self.values[chosen]
        return dense

    def components(self) -> tuple["EdgeMatrices", np.ndarray]:
        """Return the connected components of all matrices, isolated nodes left out, and which matrix each is of."""
        device = self.row.device
        total_rows, total_columns = int(self.rows.sum()), int(self.columns.sum())
        row = self.row + self.of_each(starts(self.rows))
        column = self.column + self.of_each(starts(self.columns)) + total_rows
        # Each node takes the least label among its neighbours, and that label's own, until nothing changes: labels are
        # nodes of the same component throughout, in the end its first row.
        label = torch.arange(total_rows + total_columns, device=device)
        before = None
        while before is None or not torch.equal(label, before):
            before = label
            least = torch.minimum(label[row], label[column])
            label = label.scatter_reduce(0, row, least, "amin").scatter_reduce(0, column, least, "amin")
            label = label[label]
        first_rows, part = torch.unique(label[row], return_inverse=True)
        order = torch.sort(part, stable=True).indices
        part = part[order]
        edges = torch.bincount(part, minlength=len(first_rows)).cpu().numpy()
        row, rows = _within(row[order], part, len(first_rows))
        column, columns = _within(column[order], part, len(first_rows))
        of_row = repeated(np.arange(len(self)), self.rows, device)
        return EdgeMatrices(rows, columns, edges, row, column, self.values[order]), of_row[first_rows].cpu().numpy()


def tensor_on(device: torch.device, values: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return the same values as a tensor on the device, without a gradient."""
    if isinstance(values, torch.Tensor):
        return values.detach().to(device)
    return torch.tensor(values, device=device)  # which copies, as an array may be read-only


def starts(counts: np.ndarray) -> np.ndarray:
    """Return where each of several stretches starts that lie behind each other, from how long they are."""
    return np.asarray(np.cumsum(counts) - counts)


def repeated(numbers: np.ndarray | torch.Tensor, counts: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return each number as many times as `counts` says; nothing waits for the device."""
    there = torch.from_numpy(numbers).to(device) if isinstance(numbers, np.ndarray) else numbers
    times = torch.from_numpy(counts).to(device)
    return torch.repeat_interleave(there, times, output_size=int(counts.sum()))


def ranges(firsts: np.ndarray | torch.Tensor, counts: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return the numbers first, first + 1, …, as many as `counts` says, for one first after the other."""
    places = torch.arange(int(counts.sum()), device=device) - repeated(starts(counts), counts, device)
    return repeated(firsts, counts, device) + places


def _within(nodes: torch.Tensor, part: torch.Tensor, parts: int) -> tuple[torch.Tensor, np.ndarray]:
    """Return the node of each edge counted within its part, from both, and how many nodes each part has."""
    found, place = torch.unique(nodes, return_inverse=True)
    part_of = torch.empty_like(found)
    part_of[place] = part
    counts = torch.bincount(part_of, minlength=parts).cpu().numpy()
    number = torch.empty_like(found)
    number[torch.sort(part_of, stable=True).indices] = ranges(np.zeros_like(counts), counts, nodes.device)
    return number[place], counts
