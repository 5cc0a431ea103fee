"""`fullspectrum search`: runs a study."""

import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import aside, complain, warn
from ..names import Artifact
from .options import AGAIN, RUNS, Address, HomeFolder, Settings

if TYPE_CHECKING:
    from ..config.study import Study
    from ..report.summary import StudyResult
    from ..screen.console import Screen


def search(
    context: typer.Context,
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A .toml file, - for stdin, or a bundled study by name.")
    ] = "",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    address: Address = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a study that was interrupted.")] = False,
    list_settings: Annotated[bool, typer.Option("--list-settings", help="Print every setting and exit.")] = False,
) -> None:
    """Search for the best pruning masks of a network.

    Ctrl-C or SIGTERM ends it in good order, a second one at once; after either it can be resumed. It runs in a process
    of its own, which is started again when it crashes.

    Example: fullspectrum search digits --set search.trials=50
    """
    from ..config.secrets import override_without_secret
    from ..process.link import SupervisorLink
    from ..screen.console import Screen

    if list_settings:
        _print_settings()
        return
    link = SupervisorLink.from_environment()
    given, study = study, _kept(study, settings, home)
    shown = map(override_without_secret, settings)
    options = [*(f"--set={setting}" for setting in shown), "--home", str(home), "--resume"]
    again = shlex.join(["fullspectrum", "search", study, *options, *(["--address", address] if address else [])])
    # A cluster's job is gone on with by whoever launched it.
    again = os.environ.get(AGAIN, again)
    console = Screen()
    with _interruptible(console, again):
        # First, because a mistake is to be reported before anything that takes seconds is started.
        studies = _studies(study, settings)

        if context.obj and not link.connected:
            from ..config.secrets import shown_in_process_lists
            from ..process.supervisor import supervise

            for setting in shown_in_process_lists(settings):
                warn(f"the password in --set {setting} can be read in lists of processes, by whoever uses this machine")
            # The very command, with the interpreter's own options; a stream is not there to be read again.
            command = [study if argument == given else argument for argument in sys.orig_argv[1:]]
            raise typer.Exit(supervise([sys.executable, *command], again))

        from ..files import Home
        from ..process.progress import ProgressReport
        from ..screen.console import print_line
        from ..study import run_study

        failed, results = False, []
        for each in studies:
            print_line(
                console,
                f"study {each.id}: {each.model} on {each.data}, sparsity {each.sparsity:g}, seed {each.seed}, "
                f"{each.search.trials} trials of {each.search.samples_per_trial} candidates",
            )
            link.allow_restarts(each.faults.restarts)
            try:
                result = run_study(each, Home(home), console, address, resume, ProgressReport(link))
            except Exception as error:
                reason = _out_of_reach(error)
                if reason is None:
                    raise
                complain(f"study {each.id} stopped before its end: {reason}")
                _print_how_to_go_on(console, "Stopped", again)
                failed = True
                break
            results.append(result)
            _report(result, console, home, again)
            if result.signal is not None:
                raise typer.Exit(128 + result.signal)
            failed |= result.stopped is not None or result.failure is not None
        if len(results) > 1:
            from ..report.overview import Overview
            from ..report.status import State
            from ..screen.overviews import print_overviews

            print_line(console)
            ends = [State.INTERRUPTED if each.stopped else State.FINISHED for each in results]
            print_overviews(console, [Overview(each.facts, end) for each, end in zip(results, ends, strict=True)])
        if failed:
            link.report_failure()
            raise typer.Exit(1)


def _kept(study: str, settings: list[str], home: Path) -> str:
    """Return the study, of one that can be read only once (stdin) the copy under `home`."""
    from ..config.studyfile import is_stream, keep_study
    from ..files import Home

    return keep_study(study, settings, Home(home)) if is_stream(study) else study


@contextlib.contextmanager
def _interruptible(console: "Screen", again: str) -> Iterator[None]:
    """Print how to go on where a signal raises KeyboardInterrupt, and exit with the status of that signal.

    It holds all that the driver does: Ctrl-C may come while large packages are imported, or as the first line is shown.
    """
    from ..process.shutdown import remembered_interrupts

    try:
        with remembered_interrupts():
            yield
    except KeyboardInterrupt as interrupt:
        _print_how_to_go_on(console, "Interrupted", again)
        raise typer.Exit(128 + (interrupt.args or (signal.SIGINT,))[0]) from None


def _studies(name: str, settings: list[str]) -> list["Study"]:
    """Return the studies that are to be run, the members of a family. Raises InputError for what cannot be used."""
    from ..config.study import ConfigError
    from ..config.studyfile import bundled, load_study
    from .checks import check_sources

    if not name:
        raise ConfigError(f"which study? Give a .toml file or one of the bundled studies: {', '.join(bundled())}")
    study = load_study(name, settings)
    check_sources(study)
    return study.members()


def _print_settings() -> None:
    from ..config.help import describe_settings

    for line in describe_settings():
        typer.echo(line)


def _out_of_reach(error: Exception) -> str | None:
    """Return why nothing can be written any more, which no restart mends and no user caused; else None."""
    from ...models.errors import InputError
    from ..files import storage_failure
    from ..store.storage import StorageLost

    if isinstance(error, StorageLost):
        return str(error)
    return None if isinstance(error, InputError) else storage_failure(error)


def _print_how_to_go_on(console: "Screen", ended: str, again: str) -> None:
    from ..screen.console import print_line

    line = f"{ended}. Go on with:\n  {again}"
    print_line(console, line)
    if console.quiet:
        # stdout has no reader any more.
        aside(line)


def _report(result: "StudyResult", console: "Screen", home: Path, again: str) -> None:
    """Print the table of the best masks, the verdicts on them and on the objective, and what to do next."""
    from ..files import Home
    from ..record.server import tracking_server, without_password
    from ..screen.audit import print_compact
    from ..screen.console import print_line
    from ..screen.tables import screen_table

    stopped = result.stopped if result.signal is None else None
    if result.failure and not result.stopped:
        complain(result.failure)
        return
    if result.rows:
        print_line(console)
        console.print(screen_table(result.rows, result.study.score))
        print_compact(console, result.audit)
        for sentence in result.verdicts:
            print_line(console, sentence)
    if result.pareto:
        print_line(console, f"No mask is better in every objective than: {', '.join(result.pareto)}")
    print_line(console)
    if stopped:
        complain(f"study {result.study.id} stopped before its end: {stopped}")
    if result.stopped:
        to_go = f" with {result.remaining} trials to go" if result.remaining else ""
        _print_how_to_go_on(console, f"{'Stopped' if stopped else 'Interrupted'}{to_go}", again)
        return
    at_home = "" if str(home) == "runs" else f" --home {shlex.quote(str(home))}"
    print_line(console, "Next:")
    server = tracking_server(Home(home), result.study.tracking.mlflow)
    review = f"review it at {without_password(server)}" if server else f"fullspectrum ui{at_home}"
    print_line(console, f"  {review}")
    if not result.rows:
        return
    study, best = result.study, result.trials_by_label[result.rows[0].label]
    # From the home as the user names it.
    file = result.folder.trial(best.number) / Artifact.MASK
    masks = shlex.quote(str(home / file.relative_to(Home(home).path)))
    # The very recipe of the study, so that the command gives the accuracy of the table.
    recipe = study.settings().get("training", {}) | best.training
    settings = {"final.epochs": study.final.epochs} | {f"training.{key}": value for key, value in recipe.items()}
    chosen = " ".join(f"--set {shlex.quote(f'{key}={_toml(value)}')}" for key, value in settings.items())
    print_line(console, f"  fullspectrum report {study.id}{at_home}")
    print_line(console, f"  fullspectrum audit {study.id}{at_home}")
    print_line(console, f"  fullspectrum score {masks}")
    print_line(console, f"  fullspectrum export best:{study.id} --format torch-prune -o best.pt{at_home}")
    print_line(console, f"  fullspectrum train {masks} --model {study.model} --data {study.data} {chosen}")


def _toml(value: bool | float | str | list[float]) -> str:
    """Return a setting as --set reads it; a string is a bare word."""
    return value if isinstance(value, str) else json.dumps(value)
