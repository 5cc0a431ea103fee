"""Named columns with a row for each mask, whether a study or a file holds them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....models.errors import InputError, nearest

#: float64 of shape (masks,), nan where nothing is known.
Numbers = np.ndarray

#: str of shape (masks,).
Words = np.ndarray

#: What stands in a cell that holds no number.
_EMPTY = {"", "nan", "na", "none", "null"}


@dataclass(frozen=True)
class Columns:
    """The columns of a table by their names, all of one length."""

    name: str
    """The name of the table in messages: its file, or the study."""
    cells: Mapping[str, Sequence[str | float | None]]
    """What each row holds, text or numbers; empty where nothing is known."""
    rows: Sequence[str]
    """The name of each row in messages, such as "line 7"."""

    def check(self, columns: Iterable[str]) -> None:
        """Raise InputError for the first of `columns` that the table lacks."""
        for column in columns:
            if column not in self.cells:
                hint = nearest(column, self.cells)
                raise InputError(f'{self.name} has no column "{column}"{hint} (it has {", ".join(self.cells)})')

    def words(self, column: str) -> Words:
        """Return a column as text. Raises InputError where the table lacks it."""
        self.check([column])
        return np.array([_text(cell) for cell in self.cells[column]], dtype=str)

    def holds_numbers(self, column: str) -> bool:
        """Return whether more than half of the cells that are filled are numbers."""
        filled = [cell for cell in self.cells[column] if _text(cell).lower() not in _EMPTY]
        return bool(filled) and 2 * sum(_number(cell) is not None for cell in filled) > len(filled)

    def numbers(self, column: str) -> Numbers:
        """Return a column as numbers, nan for an empty cell.

        Raises InputError where the table lacks it, and for a cell with text, naming its row.
        """
        self.check([column])
        values = []
        for row, cell in zip(self.rows, self.cells[column], strict=True):
            value = math.nan if _text(cell).lower() in _EMPTY else _number(cell)
            if value is None:
                raise InputError(
                    f'{self.name}, {row}: "{_text(cell)}" in the column "{column}" is no number; '
                    "mend it, leave the cell empty, or name the scores to audit with --scores"
                )
            values.append(value)
        return np.array(values, dtype=float)


def _text(cell: str | float | None) -> str:
    return "" if cell is None else str(cell).strip()


def _number(cell: str | float | None) -> float | None:
    try:
        return float(cell) if cell is not None else None
    except ValueError:
        return None
