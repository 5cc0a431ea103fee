"""`fullspectrum clusters fetch`: brings a search home."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import RUNS, ClusterName, ClusterSettings, HomeFolder, JobStudy, Settings
from .meant import job_and_studies, target


def fetch(
    cluster: ClusterName,
    study: JobStudy,
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    cluster_settings: ClusterSettings = [],  # noqa: B006
    home: HomeFolder = RUNS,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Home folder to write to; default: that of --home.")
    ] = None,
) -> None:
    """Bring masks, candidates, the report and the journal of a search home, where `status`, `report`, `export` work.

    Example: fullspectrum clusters fetch aws.toml digits
    """
    from ...files import Home

    place = target(cluster, cluster_settings)
    _, studies = job_and_studies(place, study, settings)
    to = Home(output or home).create()
    place.fetch(place.home(home), studies, to.path)
    for each in studies:
        typer.echo(f"fetched study {each} to {to.study(each).path}")
