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
    from ..files import Home, sqlite_file
    from ..record.destination import recorded
    from ..record.relocation import relocate
    from ..record.server import VARIABLE, tracking_server, without_password
    from ..record.tracking import set_up

    record = Home(home)
    server = tracking_server(record)
    if server and server.startswith("http"):
        raise InputError(f"{VARIABLE} names a server, which has a UI of its own: open {without_password(server)}")
    file = sqlite_file(server) if server else record.database
    if file and not file.exists():
        elsewhere = sorted({without_password(there.server) for _, there in recorded(record) if there.server})
        way = "run a search first, or give the right --home"
        way = f"the searches recorded at {', '.join(elsewhere)}" if elsewhere else way
        raise InputError(f"there is no record in {str(file.parent if server else home)!r} yet; {way}")
    if server is None:
        relocate(record)
    typer.echo(f"MLflow UI on http://{host}:{port} (stop with Ctrl-C)", err=True)
    store = server or record.tracking_uri
    command = ["mlflow", "ui", "--backend-store-uri", store, "--host", host, "--port", str(port)]
    set_up()
    os.execv(sys.executable, [sys.executable, "-m", *command])
