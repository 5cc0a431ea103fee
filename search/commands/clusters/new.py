"""`fullspectrum clusters new`: a cluster file to begin with."""

from typing import Annotated

import typer

from ....models.errors import InputError


def new(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="local, static, aws, gcp, kuberay or slurm.", show_default=False),
    ] = None,
    list_settings: Annotated[
        bool, typer.Option("--list-settings", help="Print every setting of a cluster file instead.")
    ] = False,
) -> None:
    """Print a commented cluster file of a kind, to be edited.

    Example: fullspectrum clusters new aws > my.toml
    """
    from ....clusters.spec.help import describe_settings
    from ....clusters.spec.reading import bundled, example

    if list_settings:
        for line in describe_settings():
            typer.echo(line)
    elif kind is None:
        raise InputError(f"a kind of cluster is missing: {', '.join(bundled())}")
    else:
        typer.echo(example(kind), nl=False)
