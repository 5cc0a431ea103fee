"""The `fullspectrum` command."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ..clusters.connection import ClusterError
from .commands.check import check
from .commands.export import export
from .commands.layers import layers
from .commands.sample import sample
from .commands.score import score
from .commands.search import search
from .commands.status import status
from .commands.sync import sync
from .commands.train import train
from .commands.ui import ui
from .console import complain

app = typer.Typer(
    name="fullspectrum",
    help="Search for pruning masks before training, guided by the full spectrum of their graphs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (search, status, sample, layers, score, train, check, export, sync, ui):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fullspectrum {version('fullspectrum')}")
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
    """Runs the command line and returns its exit status: 2 for a user's mistake, told in one line on stderr.

    Where it is the command line of this very process (no `arguments`), a search runs in another one, which is started
    again when it crashes; not with --debug, which shows how it did.
    """
    own = arguments is None
    arguments = list(sys.argv[1:] if own else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return app(arguments, standalone_mode=False, obj=arguments if own and not debug else None) or 0
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return 130
    except Exception as error:
        if debug:
            raise
        return _tell(error)


def _tell(error: Exception) -> int:
    # Imported late: torch need not be loaded to print a help text.
    from ..models.errors import InputError

    if isinstance(error, TyperException):
        complain(error.format_message())
        return 2
    if isinstance(error, InputError | ClusterError):
        complain(str(error))
        return 2
    complain(f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)")
    return 1
