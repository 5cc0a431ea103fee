"""`fullspectrum search`: runs a study."""

import json
import shlex
from typing import Annotated

import typer

from .options import RUNS, Address, HomeFolder, Settings


def search(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A .toml file, or a bundled study by name.")] = "",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    address: Address = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a study that was interrupted.")] = False,
    list_settings: Annotated[bool, typer.Option("--list-settings", help="Print every setting and exit.")] = False,
) -> None:
    """Search for the best pruning masks of a network.

    Example: fullspectrum search digits --set search.trials=50
    """
    from rich.console import Console

    from ..config import ConfigError
    from ..files import Home
    from ..study import run_study
    from ..studyfile import bundled, load_study

    console = Console()
    if list_settings:
        _print_settings()
        return
    if not study:
        raise ConfigError(f"which study? Give a .toml file or one of the bundled studies: {', '.join(bundled())}")
    failed = interrupted = False
    for each in load_study(study, settings).each_sparsity():
        console.print(
            f"study {each.id}: {each.model} on {each.data}, sparsity {each.sparsity:g}, "
            f"{each.search.trials} trials of {each.search.samples_per_trial} candidates",
            highlight=False,
            soft_wrap=True,
        )
        again = ["fullspectrum", "search", study, *(f"--set={s}" for s in settings), "--home", str(home), "--resume"]
        again = shlex.join([*again, "--address", address] if address else again)
        try:
            result = run_study(each, Home(home), console, address, resume)
        except KeyboardInterrupt:
            typer.echo(f"Interrupted. Go on with:\n  {again}")
            raise typer.Exit(130) from None
        failed |= result.failure is not None
        _report(result, console, home, again)
        if interrupted := result.remaining > 0:
            break
    if failed or interrupted:
        raise typer.Exit(130 if interrupted else 1)


def _print_settings() -> None:
    from ..settings import describe_settings

    for line in describe_settings():
        typer.echo(line)


def _report(result, console, home, again: str) -> None:
    """The table of the best masks, what the objective was worth, and what to do next."""
    from rich.console import Console

    from ..leaderboard import screen_table

    def say(line: str = "") -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    if result.failure:
        Console(stderr=True).print(
            f"fullspectrum: not one trial came to a result; the commonest reason: {result.failure}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
    if result.rows:
        say()
        console.print(screen_table(result.rows, result.study.objective))
        for sentence in result.verdicts:
            say(sentence)
    say()
    if result.remaining:
        say(f"Interrupted with {result.remaining} trials to go. Go on with:\n  {again}")
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
