"""`fullspectrum report`: a study as one HTML page."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from ..report.contents import Contents


def report(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study: its id or how it begins, name or .toml.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.", show_default="report-ID"),
    ] = None,
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    tracking: Annotated[
        str | None,
        typer.Option(help="MLflow tracking URI of a study of another machine, named by its id; default: --home."),
    ] = None,
) -> None:
    """Write one HTML page on a study that needs nothing else, with its pictures and its leaderboard beside it.

    Of a family it sets the studies side by side, and each has a page of its own in a folder beside it.

    It says which mask is best, whether the score can be trusted, how to get the mask, and how every number was
    obtained. It only reads the study, which may still run. The name or the file of a study takes the same --set as the
    search did.

    Example: fullspectrum report digits -o digits-report
    """
    import tempfile

    from ...models.errors import InputError

    if output is not None and output.exists() and not output.is_dir():
        raise InputError(f"cannot write to {output}: it is no folder; give -o a folder, or a name that is free")
    if tracking and settings:
        raise InputError(f"--set {settings[0]} does not go with --tracking, where a study is named by its id")
    if tracking:
        from ..report.page import write_report

        with tempfile.TemporaryDirectory() as scratch:
            found = _at_server(study, tracking, home, Path(scratch))
            page = write_report(found, output or Path(f"report-{found.facts.study.id}"))
    else:
        page = _of_folders(study, settings, home, output)
    typer.echo(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB)")


def _of_folders(name: str, settings: list[str], home: Path, output: Path | None) -> Path:
    """Write the report of a study, or of those of a family, by their folders; return the path of its page."""
    from ..config.studyfile import find_members
    from ..files import Home

    found = find_members(name, settings, Home(home))

    from ..report.familypage import write_family_report
    from ..report.fromfolder import contents_of_folder
    from ..report.overview import Overview
    from ..report.page import write_report
    from ..report.status import status_of
    from ..store.ledger import Ledger

    options = "" if home == RUNS else f" --home {shlex.quote(str(home))}"
    ledgers = [Ledger.of_folder(study, folder) for study, folder in found]
    contents = [
        contents_of_folder(study, folder, ledger, options)
        for (study, folder), ledger in zip(found, ledgers, strict=True)
    ]
    if len(found) == 1:
        return write_report(contents[0], output or Path(f"report-{found[0][0].id}"))
    # The facts, with their audit, are those of each study's own page.
    members = [
        (each, Overview(each.facts, status_of(study, folder, ledger).state))
        for each, (study, folder), ledger in zip(contents, found, ledgers, strict=True)
    ]
    return write_family_report(Path(name).stem, members, output or Path(f"report-{Path(name).stem}"))


def _at_server(study: str, tracking: str, home: Path, scratch: Path) -> "Contents":
    from ...models.errors import InputError
    from ..files import Home, sqlite_file
    from ..record.server import tracking_server
    from ..record.tracking import client_for
    from ..report.fromserver import contents_of_server

    server = tracking_server(Home(home), tracking)
    file = sqlite_file(tracking)
    if file and not file.exists():
        raise InputError(f"--tracking {tracking}: there is no file {str(file)!r}; give the URI of an MLflow server")
    return contents_of_server(client_for(Home(home), server), tracking, study, scratch)
