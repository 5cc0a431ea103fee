"""`fullspectrum sync`: delivers to MLflow what a search that has ended could not."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from ..record.destination import Destination

#: Seconds without any progress after which a server that is away is no longer waited for.
STALL_SECONDS = 15.0


def sync(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study: id, name or .toml; default: every study and every check.")
    ] = "",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    mlflow: Annotated[
        str | None, typer.Option(help="Tracking URI to deliver to from now on, with all that was recorded before.")
    ] = None,
) -> None:
    """Deliver to MLflow what is still on this machine, because the server was away or the search died.

    The name or the file of a study takes the same --set as the search did. What has arrived already is not sent again.

    Example: fullspectrum sync digits
    """
    from ...models.errors import InputError
    from ..config.studyfile import find_members
    from ..files import Home
    from ..record.destination import Destination, record_file, recorded
    from ..record.server import tracking_server
    from ..record.spool import undelivered

    place = Home(home)
    server = tracking_server(place, mlflow) if mlflow else None
    if study:
        records = []
        for _, folder in find_members(study, settings, place):
            destination = Destination.read(record_file(folder.spool), place)
            if destination is None:
                raise InputError(f"nothing was recorded in {str(folder.path)!r}; --resume records the study")
            records.append((folder.spool, destination))
    else:
        everything = list(recorded(place))
        if not everything:
            raise InputError(f"there is no record in {str(home)!r} yet; run a search first, or give the right --home")
        records = [record for record in everything if undelivered(record[0]) or mlflow]
        if not records:
            typer.echo(f"everything under {str(home)!r} is delivered")
    complete = True
    for spool, destination in records:
        if mlflow:
            destination = replace(destination, server=server)
        try:
            complete &= _deliver(spool, destination)
        except InputError as error:
            if study:
                raise
            # That of a search which is running: it is looked after.
            typer.echo(f"{spool.parent.name}: {error}")
    if not complete:
        raise typer.Exit(1)


def _deliver(spool: Path, destination: "Destination") -> bool:
    """Deliver what can be, print the outcome in one line, and return whether everything is there."""
    from ..record.uploader import Uploader, refused_file
    from ..screen.stepper import stepper

    uploader = Uploader(spool, destination).start()
    total = left = uploader.depth
    progressed = time.monotonic()
    with stepper(f"delivering {spool.parent.name}", total) as step:
        while left and not (uploader.problem and time.monotonic() - progressed > STALL_SECONDS):
            time.sleep(0.2)
            before, left = left, uploader.depth
            for number in range(total - before, total - left):
                step(f"event {number + 1}")
                progressed = time.monotonic()
    uploader.close(STALL_SECONDS)
    left, refused = uploader.depth, uploader.refused
    missing = []
    if left:
        missing.append(f"{left} could not be delivered: {uploader.problem or 'they came too slowly'}")
    if refused:
        missing.append(f"MLflow refused {refused}, which {refused_file(spool)} holds with the reasons")
    typer.echo(f"{spool.parent.name}: {total - left} events delivered; {'; '.join(missing) or 'everything is there'}")
    return not missing
