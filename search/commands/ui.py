"""`fullspectrum ui`: the MLflow UI on the record."""

import os
import sys
from typing import Annotated

import typer

from .options import RUNS, HomeFolder


def ui(
    home: HomeFolder = RUNS,
    host: Annotated[str, typer.Option(help="Address to listen on; this machine only by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
) -> None:
    """Open the MLflow UI on everything that searches recorded.

    Example: fullspectrum ui --port 5001
    """
    from ...models.errors import InputError
    from ..files import Home
    from ..record.tracking import set_up

    record = Home(home)
    if not (record.path / "mlflow.db").exists():
        raise InputError(f"there is no record in {str(home)!r} yet; run a search first, or give the right --home")
    typer.echo(f"MLflow UI on http://{host}:{port} (stop with Ctrl-C)", err=True)
    command = ["mlflow", "ui", "--backend-store-uri", record.tracking_uri, "--host", host, "--port", str(port)]
    set_up()
    os.execv(sys.executable, [sys.executable, "-m", *command])
