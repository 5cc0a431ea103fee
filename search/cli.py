"""The `fullspectrum` command."""

import signal
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from ..clusters.errors import ClusterError
from ..models.errors import InputError
from .commands.audit import audit
from .commands.check import check
from .commands.clusters.app import clusters
from .commands.compare import compare
from .commands.convert import convert
from .commands.export import export
from .commands.launch import launch
from .commands.layers import layers
from .commands.plan import plan
from .commands.report import report
from .commands.sample import sample
from .commands.score import score
from .commands.search import search
from .commands.status import status
from .commands.sync import sync
from .commands.train import train
from .commands.ui import ui
from .console import complain, lose_nothing, silence_stdout
from .files import storage_failure

app = typer.Typer(
    name="fullspectrum",
    help="Search for pruning masks before training, guided by the full spectrum of their graphs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    search,
    launch,
    plan,
    status,
    sample,
    layers,
    score,
    train,
    check,
    audit,
    report,
    compare,
    export,
    convert,
    sync,
    ui,
):
    app.command()(command)
app.add_typer(clusters)


def _print_version(wanted: bool) -> None:
    if wanted:
        from .record.version import package_version

        typer.echo(f"fullspectrum {package_version()}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a mistake; may stand anywhere.")
    ] = False,
) -> None:
    """Search for pruning masks before training, guided by the full spectrum of their graphs."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 2 for a user's mistake, with one line on stderr.

    Where it is the command line of this very process (no `arguments`), a search runs in another one, which is started
    again when it crashes; not with --debug, which shows the traceback.
    """
    own = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    command = get_command(app)
    lose_nothing()
    try:
        _check_text(arguments)
        # Typer's own entry point ends with 130 on Ctrl-C, without a word.
        with command.make_context("fullspectrum", arguments, obj=arguments if own and not debug else None) as context:
            command.invoke(context)
        return 0
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt as interrupt:
        complain("interrupted")
        return 128 + int((interrupt.args or (signal.SIGINT,))[0])
    except BrokenPipeError:
        silence_stdout()
        return 1
    except Exception as error:
        if debug:
            raise
        return _report(error)


def _check_text(arguments: list[str]) -> None:
    """Raise InputError for an argument that is no text: neither the record nor Ray could hold it."""
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise InputError(f"{argument!r} is not UTF-8 text; rename what it names, or run in a UTF-8 locale")


def _report(error: Exception) -> int:
    """Print one line on an error; return the exit status."""
    if isinstance(error, TyperException):
        complain(error.format_message())
        return 2
    if isinstance(error, InputError | ClusterError):
        complain(str(error))
        return 2
    if reason := storage_failure(error):
        complain(f"cannot write: {reason}")
        return 1
    complain(f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)")
    return 1


if __name__ == "__main__":
    sys.exit(main())
