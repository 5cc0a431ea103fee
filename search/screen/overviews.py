"""Several studies side by side on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ..report.overview import Overview, differing, notes, pools
from .console import print_line
from .fitting import FittingTable


def print_overviews(console: Console, overviews: Sequence[Overview]) -> None:
    """Print a line for each study, then what those come to that differ in their seed alone, and what cannot be said."""
    settings = differing([each.study for each in overviews])
    table = FittingTable(
        spare=("audit", "state", "val acc.", "source", "settings"), box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("study", no_wrap=True)
    table.add_column("settings")
    for heading in (
        "sparsity",
        "best",
        "source",
        "val acc.",
        "test acc.",
        "95 % interval",
        "steps",
        "random",
        "difference",
    ):
        table.add_column(heading, justify="left" if heading in ("best", "source") else "right", no_wrap=True)
    table.add_column("audit")
    table.add_column("state", no_wrap=True)
    for each, own in zip(overviews, settings, strict=True):
        table.add_row(*_cells(each, own))
    console.print(table)
    for sentence in [*(pool.sentence() for pool in pools(overviews)), *notes(overviews)]:
        print_line(console, sentence)


def named(overview: Overview, settings: Mapping[str, Any]) -> str:
    """Return how a study is called beside others: its id, and what differs."""
    sparsity = f"sparsity {overview.study.sparsity:g}"
    return ", ".join([overview.study.id, sparsity, *words(settings)])


def words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as they are given."""
    return [f"{name}={value}" for name, value in settings.items()]


def _cells(each: Overview, settings: Mapping[str, Any]) -> list[str]:
    row, random, ends, beside = each.winner, each.random, each.interval, each.difference
    return [
        each.study.id,
        " ".join(words(settings)),
        f"{each.study.sparsity:g}",
        row.label if row else "",
        row.source if row else "",
        _accuracy(row.accuracy_val if row else None),
        _accuracy(row.accuracy_final if row else None),
        f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "",
        f"{row.cost:,}" if row and row.cost is not None else "",
        _accuracy(random.accuracy_final if random else None),
        "at chance level" if each.at_chance else f"{beside.difference:+.3f} ± {beside.error:.3f}" if beside else "",
        each.judgement,
        each.state,
    ]


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.4f}"
