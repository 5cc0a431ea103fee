"""`fullspectrum clusters logs`: what a search on a cluster prints."""

import shlex
from typing import Annotated

import typer

from ..options import ClusterName, ClusterSettings, Settings
from .following import follow_job
from .meant import job_and_studies, target


def logs(
    cluster: ClusterName,
    study: Annotated[
        str, typer.Argument(metavar="[STUDY]", help="A study, as `launch` took it, or its id; without: the latest.")
    ] = "",
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    cluster_settings: ClusterSettings = [],  # noqa: B006
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the search ends.")] = False,
) -> None:
    """Print what a search on a cluster has printed.

    Example: fullspectrum clusters logs local digits --follow
    """
    place = target(cluster, cluster_settings)
    if study:
        name, _ = job_and_studies(place, study, settings)
    else:
        from ....clusters.errors import ClusterError

        jobs = place.status().jobs
        if not jobs:
            raise ClusterError(f"cluster {place.cluster.name!r} knows no search; `fullspectrum launch` submits one")
        name, study = jobs[-1].name, jobs[-1].studies[0] if jobs[-1].studies else ""
    if follow:
        options = [*(f"--set={each}" for each in settings), *(f"--cluster-set={each}" for each in cluster_settings)]
        raise typer.Exit(follow_job(place, name, shlex.join([cluster, *([study] if study else []), *options])))
    for piece in place.logs(name, follow=False):
        typer.echo(piece, nl=False)
