"""`fullspectrum ui`: the MLflow UI on the record."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from ..files import Home


def ui(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study: id, name or .toml; default: the one that began last.")
    ] = "",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    host: Annotated[str, typer.Option(help="Address to listen on; this machine only by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 5000,
    open: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the page in a browser; default: on a terminal with a display."),
    ] = None,
) -> None:
    """Open the MLflow UI on the page of a study.

    Where the study was recorded at a server, that server's page is named, and nothing is started.

    Example: fullspectrum ui --port 5001
    """
    import webbrowser

    from ..files import Home, sqlite_file
    from ..record.addresses import EXPERIMENTS
    from ..record.opener import open_later
    from ..record.pages import newest_study, pages_of
    from ..record.relocation import relocate
    from ..record.server import without_password
    from ..record.tracking import set_up

    place = Home(home)
    if study:
        from ..config.studyfile import find_study

        study = find_study(study, settings, place)[1].path.name
    name = study or newest_study(place)
    server = _server(place, name)
    opens = _has_display() if open is None else open
    remote = server is not None and server.startswith("http")
    file = None if remote else sqlite_file(server) if server else place.database
    if file and not file.exists():
        raise _no_record(place, file.parent)
    pages = pages_of(place, name) if name else [EXPERIMENTS]
    base = without_password(server).rstrip("/") if server and remote else f"http://{host}:{port}"
    addresses = [f"{base}/{page}" for page in pages]
    for what, address in zip((name or "all experiments", "its runs, best first"), addresses, strict=False):
        typer.echo(f"{what}: {address}")
    sys.stdout.flush()
    if remote:
        if opens:
            webbrowser.open(addresses[0])
        return
    if server is None:
        relocate(place)
    typer.echo(f"MLflow UI on {base} (stop with Ctrl-C)", err=True)
    set_up()
    store = server or place.tracking_uri
    # One process: it has one user, and each of the usual four loads all of MLflow first.
    options = ["--backend-store-uri", store, "--host", host, "--port", str(port), "--workers", "1"]
    if opens:
        open_later(addresses[0])
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *options])


def _server(home: "Home", study: str | None) -> str | None:
    """Return the server that a study was recorded at, else the one that the environment names; None: the home's."""
    from ..record.destination import Destination, record_file
    from ..record.server import tracking_server

    if study and (destination := Destination.read(record_file(home.study(study).spool), home)):
        return destination.server
    return tracking_server(home)


def _no_record(home: "Home", folder: Path) -> Exception:
    """Return the error of a store that is not there."""
    from ...models.errors import InputError
    from ..record.destination import recorded
    from ..record.server import without_password

    elsewhere = sorted({without_password(there.server) for _, there in recorded(home) if there.server})
    way = "run a search first, or give the right --home"
    way = f"the searches recorded at {', '.join(elsewhere)}" if elsewhere else way
    return InputError(f"there is no record in {str(folder)!r} yet; {way}")


def _has_display() -> bool:
    """Return whether somebody sits before a terminal with a display."""
    shown = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shown and sys.stdout.isatty()
