"""`fullspectrum clusters fetch`: brings a search home."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import aside
from ..options import RUNS, ClusterName, ClusterSettings, HomeFolder, JobStudy, Settings
from .meant import job_and_studies, settings_of, target

if TYPE_CHECKING:
    from ....clusters.targets.target import Target
    from ...files import Home


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
    if place.cluster.object_store:
        _from_store(place, study, settings, home, to)
    else:
        place.fetch(place.home(home), studies, to.path)
    for each in studies:
        typer.echo(f"fetched study {each} to {to.study(each).path}")


def _from_store(place: "Target", name: str, settings: list[str], home: Path, to: "Home") -> None:
    """Bring the studies of a cluster with an object store home: what the head has, then what only the store has."""
    from ....clusters.errors import ClusterError
    from ...config.secrets import settings_without_secrets
    from ...config.studyfile import bundled, load_study, names_file
    from ...remote.backup import restore
    from ...remote.mirror import mirror_of

    if not (names_file(name) or name in bundled()):
        raise ClusterError(
            f"{name}: of a cluster with an object store give the study by its name or .toml, with the --set of its "
            "launch; its settings are not kept there"
        )
    members = load_study(name, [*settings, *settings_of(place.cluster)]).members()
    try:
        place.fetch(place.home(home), [member.id for member in members], to.path)
    except ClusterError as error:
        aside(f"not from the head: {error}")
    for member in members:
        folder = to.study(member.id, member.tracking.files)
        mirror_of(folder).check(wait=False)
        restore(folder)
        folder.write_settings(settings_without_secrets(member.settings()))
