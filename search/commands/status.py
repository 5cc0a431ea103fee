"""`fullspectrum status`: where a search stands."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..process.heartbeat import RunningTrial
    from ..report.leaderboard import Row
    from ..report.status import Status

#: Seconds between two looks: on a terminal, and elsewhere.
_EVERY, _PLAIN_EVERY = 2.0, 10.0

#: Seconds without a word after which a driver is said to be silent.
_SILENT = 15.0

#: Most trials that are listed: a terminal of 24 lines shows all.
_MOST = 8


def status(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study: its id or how it begins, name or .toml.")],
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again until the search ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Say where a search stands: what ended and how, the best so far, the rate, and what runs where.

    It only reads, from another terminal or afterwards. The name or the file of a study takes the same --set as the
    search did; of a family each study that has been begun is listed.

    Example: fullspectrum status digits --watch
    """
    from ...models.errors import InputError
    from ..config.studyfile import find_members, find_study
    from ..files import Home

    if watch and as_json:
        raise InputError("--watch does not go with --json, which prints one document; give one of them")
    # It follows one study.
    place = Home(home)
    members = [find_study(study, settings, place)] if watch else find_members(study, settings, place)

    from rich.console import Console

    from ..report.status import status_of
    from ..screen.console import print_line
    from ..store.ledger import Ledger

    console = Console()
    documents = []
    for index, (found, folder) in enumerate(members):
        ledger = Ledger.of_folder(found, folder)
        if as_json:
            documents.append(status_of(found, folder, ledger).to_dict())
            continue
        if index:
            print_line(console)
        _print(console, partial(status_of, found, folder, ledger), watch)
    if as_json:
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else {"studies": documents}, allow_nan=False))


def _print(console: "Console", look: Callable[[], "Status"], watch: bool) -> None:
    """Print what is seen of one study; with `watch` again and again, until its search ends or Ctrl-C."""
    from rich.live import Live

    from ..report.status import State
    from ..screen.console import print_line

    def looks() -> Iterator["Status"]:
        while True:
            yield (seen := look())
            # A driver that died may be started again by its supervisor.
            if not watch or seen.state in (State.FINISHED, State.INTERRUPTED):
                return
            time.sleep(_EVERY if console.is_interactive else _PLAIN_EVERY)

    with contextlib.suppress(KeyboardInterrupt):
        if console.is_interactive and watch:
            with Live(console=console, auto_refresh=False) as live:
                for seen in looks():
                    live.update(_table(seen), refresh=True)
            return
        for seen in looks():
            if console.is_interactive:
                console.print(_table(seen))
                continue
            for name, fact in _facts(seen):
                print_line(console, f"{name and name + ':':<15}{fact}")


def _table(seen: "Status") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, fact in _facts(seen):
        table.add_row(Text(name, style="bold"), Text(fact))
    return table


def _facts(seen: "Status") -> Iterator[tuple[str, str]]:
    """Yield what is known, as names and words; what is not known is left out."""
    study = seen.study
    yield "study", f"{study.id}: {study.model} on {study.data}, sparsity {study.sparsity:g}, seed {study.seed}"
    yield "state", _state(seen)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in seen.outcomes.items())
    yield "trials", f"{seen.ended} of {study.search.trials} ended" + (f": {outcomes}" if outcomes else "")
    if seen.finals:
        yield "full training", f"{seen.finals} ended"
    if seen.best:
        yield "best so far", _best(seen.best, seen.study.score)
    if seen.pareto:
        yield "Pareto front", ", ".join(seen.pareto)
    if seen.rate:
        left = f"; about {_duration(seen.seconds_left)} left" if seen.seconds_left else ""
        yield "rate", f"{seen.rate:,.0f} trials an hour{left}"
    for index, line in enumerate(_listed([_running(trial) for trial in seen.running])):
        yield "" if index else "running", line
    if seen.retried:
        retried = [f"{label} (attempt {attempt})" for label, attempt in seen.retried.items()]
        yield "tried again", ", ".join(_listed(retried))
    yield "MLflow", _spool(seen)
    yield "disk", f"{seen.disk / 1e6:,.1f} MB"


def _state(seen: "Status") -> str:
    from ..report.status import State

    if seen.state is State.FINISHED:
        return "finished"
    if seen.state is State.INTERRUPTED or seen.driver is None:
        return "interrupted; the search goes on with --resume"
    driver = seen.driver.name
    if seen.state is State.DIED:
        return f"the driver died: {driver}; the search goes on with --resume"
    asked = "asked to leave" if seen.state is State.LEAVING else "running"
    phase = f" ({seen.phase})" if seen.phase else ""
    seconds = seen.silent or 0.0
    silent = f"; no word from it for {_duration(seconds)}" if seconds > _SILENT else ""
    return f"{asked}{phase}: {driver}{silent}"


def _best(best: "Row", score: str) -> str:
    from ..scores.registry import score_called

    parts = []
    if "objective" in best.scores:
        parts.append(f"{score_called(score).label} {best.scores['objective']:.3f}")
    for name, accuracy in (
        ("warm-up accuracy", best.accuracy_warmup),
        ("validation accuracy", best.accuracy_val),
        ("test accuracy", best.accuracy_final),
    ):
        if accuracy is not None:
            parts.append(f"{name} {accuracy:.4f}")
    return f"{best.label} ({best.source}): {', '.join(parts)}"


def _running(trial: "RunningTrial") -> str:
    parts = [f"trial {trial['trial']}: {trial['iteration']} iterations in {_duration(time.time() - trial['since'])}"]
    if trial["host"] is not None:
        parts.append(f"process {trial['pid']} on {trial['host'].split('.')[0]}")
    if trial["attempt"] > 1:
        parts.append(f"attempt {trial['attempt']}")
    return ", ".join(parts)


def _spool(seen: "Status") -> str:
    if not seen.depth:
        return "told everything"
    return f"{seen.depth:,} events to be told" + (f": {seen.problem}" if seen.problem else "")


def _listed(lines: list[str]) -> list[str]:
    """Return the first lines, and how many more there are."""
    return lines if len(lines) <= _MOST else [*lines[:_MOST], f"and {len(lines) - _MOST} more"]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
