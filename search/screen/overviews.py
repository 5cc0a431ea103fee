"""Several studies side by side on the terminal."""

from collections.abc import Sequence
from typing import Literal

from rich.console import Console

from ..report.overview import WORDS, Overview, differing, notes, pools
from .console import print_line
from .fitting import FittingTable


def print_overviews(console: Console, overviews: Sequence[Overview]) -> None:
    """Print a line for each study, then what those come to that differ in their seed alone, and what cannot be said."""
    settings = differing([each.study for each in overviews])
    table = FittingTable(
        spare=("audit", "state", "val acc.", "source", "settings"), box=None, pad_edge=False, header_style="bold"
    )
    lines = [each.cells(own) for each, own in zip(overviews, settings, strict=True)]
    for heading in lines[0]:
        justify: Literal["left", "right"] = "left" if heading in WORDS else "right"
        table.add_column(heading, justify=justify, no_wrap=heading not in ("settings", "audit"))
    for cells in lines:
        table.add_row(*cells.values())
    console.print(table)
    for sentence in [*(pool.sentence() for pool in pools(overviews)), *notes(overviews)]:
        print_line(console, sentence)
