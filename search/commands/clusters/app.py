"""`fullspectrum clusters`: its commands by name."""

import typer

from .down import down
from .fetch import fetch
from .logs import logs
from .new import new
from .services import services
from .status import status
from .stop import stop

clusters = typer.Typer(
    name="clusters",
    help="Describe a cluster, look at it, and take what it found.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (new, services, status, logs, stop, fetch, down):
    clusters.command()(command)
