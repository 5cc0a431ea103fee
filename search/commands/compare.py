"""`fullspectrum compare`: several studies side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from ..config.study import Study
    from ..files import StudyFolder
    from ..report.overview import Overview


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="STUDY…", help="Studies: ids or how they begin, names or .toml, of a family all."),
    ],
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PICTURE", help="Picture to draw (.png, .pdf, .svg).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Set studies side by side: what differs in their settings, and their best masks with errors and costs.

    Each best mask stands beside the random mask at equal cost of its own study. Of studies that differ in their seed
    alone the mean is given too, with the spread over seeds in its error.

    Example: fullspectrum compare 5f45 614f 85bd -o seeds.png
    """
    from ...models.errors import InputError
    from ..config.studyfile import find_members
    from ..files import Home
    from ..report.picture import check_picture

    if output:
        check_picture(output)
    found = [each for name in names for each in find_members(name, settings, Home(home))]
    found = list({study.id: (study, folder) for study, folder in found}.values())
    if len(found) < 2:
        raise InputError(
            f"only study {found[0][0].id} is named; compare takes two or more, by their ids or how they begin"
        )

    from ..files import plain
    from ..report.overview import document
    from ..report.overviewplot import plot_overviews

    overviews = [_overview(study, folder) for study, folder in found]
    if output:
        if not any(each.trained for each in overviews):
            raise InputError(
                "none of these studies has a mask that was trained in full: there is nothing to draw; leave -o out"
            )
        plot_overviews(overviews, f"{len(overviews)} studies side by side", output)
    if as_json:
        typer.echo(json.dumps(plain(document(overviews)), allow_nan=False))
        return

    from rich.console import Console

    from ..screen.overviews import print_overviews

    print_overviews(Console(), overviews)


def _overview(study: "Study", folder: "StudyFolder") -> "Overview":
    from ..report.fromfolder import overview_of_folder
    from ..store.ledger import Ledger

    ledger = Ledger.of_folder(study, folder)
    return overview_of_folder(study, folder, ledger)
