"""`fullspectrum clusters down`: ends a cluster."""

import typer

from ..options import ClusterName, ClusterSettings
from .meant import target


def down(cluster: ClusterName, cluster_settings: ClusterSettings = []) -> None:  # noqa: B006
    """End a cluster with whatever runs on it; searches that had not ended can be launched again and go on.

    Example: fullspectrum clusters down local
    """
    place = target(cluster, cluster_settings)
    place.down()
    typer.echo(f"cluster {place.cluster.name} is down")
