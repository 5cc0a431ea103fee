"""A driver killed at 20 random points, in five searches of four kills, each held against a search that was let alone.

    python -m tests.benchmarks.kills

Prints a line for each search and ends with status 1 where one came to something else. It takes some ten minutes on two
cores.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..faults.searches import Search

SEARCHES, KILLS = 5, 4


def main() -> int:
    """Runs all of it; returns the exit status."""
    table = Table(title="driver killed and started again, against the undisturbed search")
    for column in ("search", "kills", "at journal lines", "seconds", "final state", "record"):
        table.add_column(column)
    equal = True
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed = Search(Path(scratch) / "undisturbed")
        began = time.monotonic()
        undisturbed.start().end(seconds=600)
        expected = undisturbed.state(), undisturbed.runs()
        table.add_row("undisturbed", "0", "", f"{time.monotonic() - began:.0f}", "", "")
        for number in range(SEARCHES):
            search = Search(Path(scratch) / f"killed-{number}", "faults.restarts=10")
            began = time.monotonic()
            search.start()
            points = search.kill_drivers(random.Random(number), KILLS, undisturbed)
            search.end(seconds=600)
            # The setting of the restarts makes it another study, with another name.
            same = search.state() == expected[0], search.points() == undisturbed.points()
            equal &= all(same)
            words = ("equal" if one else "DIFFERENT" for one in same)
            lines = ", ".join(map(str, points))
            table.add_row(str(number), str(KILLS), lines, f"{time.monotonic() - began:.0f}", *words)
    Console().print(table)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
