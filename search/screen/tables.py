"""Tables for the terminal."""

from ..report.leaderboard import Row
from ..scores.registry import score_called
from .fitting import FittingTable


def screen_table(rows: list[Row], objective: str, most: int = 8) -> FittingTable:
    """Return the first `most` trials and all baselines, with the study's `objective`."""
    trials = [row for row in rows if not row.is_baseline][:most]
    distance = score_called(objective).label
    table = FittingTable(
        spare=("source", "warm-up acc.", distance),
        title="best masks beside the baselines",
        title_justify="left",
        header_style="bold",
    )
    table.add_column("mask", no_wrap=True)
    table.add_column("source", no_wrap=True)
    for heading in (distance, "warm-up acc.", "val acc.", "test acc.", "steps"):
        table.add_column(heading, justify="right")
    for row in trials + [row for row in rows if row.is_baseline]:
        table.add_row(
            row.label,
            row.source or "baseline",
            f"{row.scores['objective']:.3f}" if row.scores else "",
            *map(_accuracy, (row.accuracy_warmup, row.accuracy_val, row.accuracy_final)),
            "" if row.cost is None else f"{row.cost:,}",
        )
    return table


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.4f}"
