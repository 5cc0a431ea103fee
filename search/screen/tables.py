"""Tables for the terminal."""

from collections.abc import Sequence

from ..report.comparison import Mean
from ..report.family import Level
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


def family_table(levels: Sequence[Level]) -> FittingTable:
    """Return what each sparsity of a family came to: means over its replicates and half of their 95 % intervals."""
    table = FittingTable(
        spare=("sources", "steps", "dense"),
        title="best masks of each sparsity: test accuracy, mean of the replicates",
        title_justify="left",
        header_style="bold",
    )
    for heading in ("sparsity", "studies"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("sources", no_wrap=True)
    for heading in ("steps", "best mask", "random, equal cost", "difference", "dense"):
        table.add_column(heading, justify="right", no_wrap=True)
    for level in levels:
        costs = sorted({row.cost for row in level.winners if row.cost is not None})
        beside = level.beside
        table.add_row(
            f"{level.sparsity:g}",
            str(len(level.winners)),
            ", ".join(dict.fromkeys(row.source for row in level.winners)),
            " to ".join(f"{cost:,}" for cost in dict.fromkeys([*costs[:1], *costs[-1:]])),
            *map(_mean, (level.winner, level.random)),
            "" if beside is None else f"{beside.difference:+.4f} ± {beside.error:.4f}",
            _mean(level.dense),
        )
    return table


def _mean(found: Mean | None) -> str:
    if found is None:
        return ""
    return f"{found.value:.4f}" + (f" ± {found.error:.4f}" if found.count > 1 else "")


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.4f}"
