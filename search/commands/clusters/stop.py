"""`fullspectrum clusters stop`: ends a search on a cluster in good order."""

import typer

from ..options import ClusterName, ClusterSettings, JobStudy, Settings
from .meant import job_and_studies, target


def stop(
    cluster: ClusterName,
    study: JobStudy,
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    cluster_settings: ClusterSettings = [],  # noqa: B006
) -> None:
    """Ask a search to save what runs and leave, within its grace period; launching it again goes on with it.

    Example: fullspectrum clusters stop local digits
    """
    place = target(cluster, cluster_settings)
    name, _ = job_and_studies(place, study, settings)
    typer.echo(f"{name} has ended; launch it again to go on" if place.stop(name) else f"{name} had ended before")
