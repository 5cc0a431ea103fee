"""Public results, replayed: what early stopping and each score of a mask would have been worth on them.

Run by `python -m tests.benchmarks.replay FOLDER`: some minutes. FOLDER holds `mge_runs.csv.gz` and `mge_layers.csv.gz`
(github.com/eliacunegatti/mge-snn), `ramanujan_layers.csv.gz` and `ramanujan_curves.csv.gz`
(github.com/VITA-Group/ramanujan-on-pai). With `--fit` it writes the ranking that comes with the package, and no more.
"""

import argparse
from pathlib import Path

from rich.console import Console

from . import learning, scores, stopping
from .publicdata import curves, masks


def main() -> None:
    """Prints every table, or writes the ranking."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.replay", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    console, public = Console(width=200), masks(arguments.folder)
    if arguments.fit:
        console.print(f"written: {learning.write(public)}")
        return
    groups = stopping.replayed(curves(arguments.folder))
    stopping.print_metrics(console, groups)
    stopping.print_halving(console, groups)
    scores.print_scores(console, public)
    scores.print_by_network(console, public)
    scores.print_own(console)
    learning.print_held_out(console, public)
    learning.print_small_studies(console, public)


if __name__ == "__main__":
    main()
