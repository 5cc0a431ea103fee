"""Tables for the terminal."""

from rich.table import Table

from ...spectral.objectives import OBJECTIVES
from ..report.leaderboard import Row


def screen_table(rows: list[Row], objective: str, most: int = 8) -> Table:
    """The first `most` trials and all baselines, for the terminal, with the study's `objective`."""
    trials = [row for row in rows if row.digest][:most]
    table = Table(title="best masks beside the baselines", title_justify="left", header_style="bold")
    table.add_column("mask", no_wrap=True)
    table.add_column("source", no_wrap=True)
    for heading in (OBJECTIVES[objective].label, "warm-up acc.", "val acc.", "test acc."):
        table.add_column(heading, justify="right")
    for row in trials + [row for row in rows if not row.digest]:
        table.add_row(
            row.label,
            row.source or "baseline",
            f"{row.scores['objective']:.3f}" if row.scores else "",
            *(f"{a:.4f}" if a is not None else "" for a in (row.accuracy_warmup, row.accuracy_val, row.accuracy_final)),
        )
    return table
