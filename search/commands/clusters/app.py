"""`fullspectrum clusters`: its commands by name."""

import typer

from .new import new

clusters = typer.Typer(
    name="clusters",
    help="Describe a cluster, look at it, and take what it found.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (new,):
    clusters.command()(command)
