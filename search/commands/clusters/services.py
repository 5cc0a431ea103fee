"""`fullspectrum clusters services`: the configuration of the services that searches share."""

from pathlib import Path
from typing import Annotated

import typer


def services(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; made where it is not there.")],
) -> None:
    """Write a compose file and Helm values of PostgreSQL and MLflow, with safe defaults and no passwords.

    Example: fullspectrum clusters services services
    """
    from ....clusters.services.copying import copy_services

    for path in copy_services(folder):
        typer.echo(path)
