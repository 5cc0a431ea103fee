"""Tables that a narrow screen can show."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from textwrap import wrap
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

#: The fewest characters into which the names of the first column are folded.
_NAMES = 8


class FittingTable(Table):
    """A table that leaves columns out, not digits, where the screen is too narrow for all of them.

    `spare` holds the headings of the columns that it can do without, the first to go first. Before that, headings are
    wrapped, the names in the first column folded, and columns without a cell left out.
    """

    def __init__(self, *, spare: Sequence[str], **settings: Any):
        super().__init__(**settings)
        self._spare = spare

    def add_row(self, *cells: str, **settings: Any) -> None:  # type: ignore[override]
        """Add a row of plain words: brackets in them are no markup."""
        super().add_row(*map(Text, cells), **settings)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from Table.__rich_console__(self._fitted(console, options), console, options)

    def _fitted(self, console: Console, options: ConsoleOptions) -> Table:
        """Return the table with as many columns as fit, each as wide as it must be where not all are at their best."""
        roomy = options.update(max_width=10_000)

        def room(table: Table) -> int:
            return options.max_width - Measurement.get(console, roomy, table).maximum

        if room(self) >= 0:
            return self
        empty = [str(column.header) for column in self.columns if not any(map(str, column.cells))]
        left_out: list[str] = []
        for heading in ("", *empty, *self._spare):
            left_out.append(heading)
            table = self._narrow([column for column in self.columns if column.header not in left_out])
            if room(table) >= 0:
                break
        names = table.columns[0]
        names.width = min(_longest(names), _NAMES + max(room(table), 0))
        # Rich alone would fold them in the middle of a word.
        names._cells = [Text("\n".join(wrap(str(cell), names.width))) for cell in names.cells]
        return table

    def _narrow(self, columns: Sequence[Column]) -> Table:
        """Return the table with these columns only, each as narrow as it can be."""
        table = copy(self)
        table.columns = [
            replace(column, _index=index, width=_longest(column, whole=column.no_wrap))
            for index, column in enumerate(columns)
        ]
        table.columns[0].width = _NAMES
        return table


def _longest(column: Column, whole: bool = True) -> int:
    """Return the width of the longest line of a column; of its longest word where it is not `whole`."""
    lines = [str(cell) for cell in (column.header, *column.cells)]
    return max(cell_len(part) for line in lines for part in ([line] if whole else line.split() or [""]))
