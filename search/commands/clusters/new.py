"""`fullspectrum clusters new`: a cluster file to begin with."""

from typing import Annotated

import typer


def new(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="local, static, aws, gcp, kuberay or slurm.", show_default=False)
    ],
) -> None:
    """Print a commented cluster file of a kind, to be edited.

    Example: fullspectrum clusters new aws > my.toml
    """
    from ....clusters.spec.reading import example

    typer.echo(example(kind), nl=False)
