"""The progress of one long computation on stderr: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .console import print_line

#: Seconds between two plain lines, and before the first.
PLAIN_EVERY = 10.0


@contextmanager
def stepper(what: str, total: int, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with the name of each of `total` steps that is done; `what` heads the line."""
    console = console or Console(stderr=True)
    if console.is_interactive:
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[step]}", markup=False),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=total, step="")
            yield lambda step: progress.update(task, advance=1, step=step)
        return
    done, printed = 0, time.monotonic()

    def plain(step: str) -> None:
        nonlocal done, printed
        done += 1
        if time.monotonic() - printed >= PLAIN_EVERY and done < total:
            printed = time.monotonic()
            print_line(console, f"{what}: {done} of {total} done ({step})")

    yield plain
