"""`fullspectrum search`: runs a study."""

import json
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import aside, complain
from .options import RUNS, Address, HomeFolder, Settings

if TYPE_CHECKING:
    from rich.console import Console


def search(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A .toml file, or a bundled study by name.")] = "",
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
    from ..process.link import FAILED, lifeline

    if list_settings:
        _print_settings()
        return
    options = [*(f"--set={setting}" for setting in settings), "--home", str(home), "--resume"]
    again = shlex.join(["fullspectrum", "search", study, *options, *(["--address", address] if address else [])])
    if study and context.obj and not lifeline().held:
        from ..process.supervisor import supervise

        # The very command, with the interpreter's own options.
        raise typer.Exit(supervise([sys.executable, *sys.orig_argv[1:]], again))

    from ..config.study import ConfigError
    from ..config.studyfile import bundled, load_study
    from ..files import Home
    from ..screen.console import Screen
    from ..study import run_study

    console = Screen()
    if not study:
        raise ConfigError(f"which study? Give a .toml file or one of the bundled studies: {', '.join(bundled())}")
    failed = False
    for each in load_study(study, settings).each_sparsity():
        console.print(
            f"study {each.id}: {each.model} on {each.data}, sparsity {each.sparsity:g}, "
            f"{each.search.trials} trials of {each.search.samples_per_trial} candidates",
            highlight=False,
            soft_wrap=True,
        )
        lifeline().restarts(each.faults.restarts)
        try:
            result = run_study(each, Home(home), console, address, resume)
        except KeyboardInterrupt as interrupt:
            _tell_how_to_go_on(console, "Interrupted", again)
            raise typer.Exit(128 + (interrupt.args or (signal.SIGINT,))[0]) from None
        except Exception as error:
            reason = _out_of_reach(error)
            if reason is None:
                raise
            complain(f"study {each.id} stopped before its end: {reason}")
            _tell_how_to_go_on(console, "Stopped", again)
            failed = True
            break
        _report(result, console, home, again)
        if result.signal is not None:
            raise typer.Exit(128 + result.signal)
        failed |= result.stopped is not None or result.failure is not None
    if failed:
        lifeline().say(FAILED)
        raise typer.Exit(1)


def _print_settings() -> None:
    from ..config.help import describe_settings

    for line in describe_settings():
        typer.echo(line)


def _out_of_reach(error: Exception) -> str | None:
    """Why nothing can be written any more, which is no mistake of the user, and which no restart mends; else None."""
    from ...models.errors import InputError
    from ..files import broken
    from ..store.storage import StorageLost

    if isinstance(error, StorageLost):
        return str(error)
    return None if isinstance(error, InputError) else broken(error)


def _tell_how_to_go_on(console: "Console", ended: str, again: str) -> None:
    line = f"{ended}. Go on with:\n  {again}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    if console.quiet:
        # Nobody reads stdout any more.
        aside(line)


def _report(result, console, home, again: str) -> None:
    """The table of the best masks, what the objective was worth, and what to do next."""
    from ..screen.tables import screen_table

    def say(line: str = "") -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    stopped = result.stopped if result.signal is None else None
    if result.failure and not result.stopped:
        complain(result.failure)
        return
    if result.rows:
        say()
        console.print(screen_table(result.rows, result.study.score))
        for sentence in result.verdicts:
            say(sentence)
    if result.pareto:
        say(f"No mask is better in every objective than: {', '.join(result.pareto)}")
    say()
    if stopped:
        complain(f"study {result.study.id} stopped before its end: {stopped}")
    if result.stopped:
        to_go = f" with {result.remaining} trials to go" if result.remaining else ""
        _tell_how_to_go_on(console, f"{'Stopped' if stopped else 'Interrupted'}{to_go}", again)
        return
    at_home = "" if str(home) == "runs" else f" --home {shlex.quote(str(home))}"
    say("Next:")
    tracking = result.study.tracking.mlflow
    say(f"  review it at {tracking}" if tracking else f"  fullspectrum ui{at_home}")
    if not result.rows:
        return
    study, best = result.study, result.trials_by_label[result.rows[0].label]
    masks = shlex.quote(str(result.folder.trial(best.number) / "mask.safetensors"))
    # The very recipe of the study, so that the command gives the accuracy of the table.
    recipe = study.settings().get("training", {}) | best.training
    settings = {"final.epochs": study.final.epochs} | {f"training.{key}": value for key, value in recipe.items()}
    chosen = " ".join(f"--set {shlex.quote(f'{key}={_toml(value)}')}" for key, value in settings.items())
    say(f"  fullspectrum score {masks}")
    say(f"  fullspectrum export best:{study.id} --format torch-prune -o best.pt{at_home}")
    say(f"  fullspectrum train {masks} --model {study.model} --data {study.data} {chosen}")


def _toml(value: bool | float | str | list[float]) -> str:
    """A setting as --set reads it; a string is a bare word."""
    return value if isinstance(value, str) else json.dumps(value)
