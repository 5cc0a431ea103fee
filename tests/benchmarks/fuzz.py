"""Strange networks, data sets, image folders, study files, environments and paths: what becomes of a command.

    python -m tests.benchmarks.fuzz [COUNT [SEED]]

Runs COUNT seeded combinations (200), and some that need an interpreter of their own, two of them whole searches. Prints
a table, and what did not end as it should: with status 0, or with 2 and one line on stderr. Exits with 1 where there is
any. It takes some three minutes on one core.
"""

import sys
from collections import Counter

from rich.console import Console
from rich.table import Table

from ..fuzz.combinations import apart, combinations


def main(count: int = 200, seed: int = 0) -> int:
    """Print the table; return the exit status."""
    counts: Counter[tuple[str, str]] = Counter()
    console = Console()
    for combination in [*combinations(count, seed), *apart(seed)]:
        ends, fault = combination.run()
        outcome = "unexpected" if fault else "ended well" if ends[-1].well else "refused"
        counts[combination.kind, outcome] += 1
        if fault:
            print(f"{combination}\n  {fault}: {ends[-1].stderr.strip()[-300:]}")
    table = Table(title="what becomes of a command")
    outcomes = ("ended well", "refused", "unexpected")
    for heading in ("kind", "combinations", *outcomes):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind in dict.fromkeys(kind for kind, _ in counts):
        row = [counts[kind, outcome] for outcome in outcomes]
        table.add_row(kind, *map(str, (sum(row), *row)))
    console.print(table)
    return int(any(outcome == "unexpected" for _, outcome in counts))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
