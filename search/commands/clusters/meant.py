"""The cluster and the job that a command means."""

from typing import TYPE_CHECKING

from ...console import aside

if TYPE_CHECKING:
    from ....clusters.spec.cluster import Cluster
    from ....clusters.targets.target import Target


def target(cluster: str, cluster_settings: list[str]) -> "Target":
    """Return the target of a cluster, by its file or name."""
    from ....clusters.spec.reading import load_cluster
    from ....clusters.targets.registry import target_of

    return target_of(load_cluster(cluster, cluster_settings), aside)


def job_and_studies(place: "Target", study: str, settings: list[str]) -> tuple[str, list[str]]:
    """Return the name of the job that searches a study, and the ids of its studies.

    `study` is a name or a file with the settings of its launch, or the id of a study or how it begins. Raises
    ClusterError for an id that no job of the cluster has.
    """
    from ....clusters.errors import ClusterError
    from ....clusters.jobs import job_name
    from ...config.studyfile import bundled, load_study, names_file

    if names_file(study) or study in bundled():
        ids = [member.id for member in load_study(study, settings).members()]
        return job_name(ids), ids
    jobs = place.status().jobs
    found = {job.name: list(job.studies) for job in jobs if any(each.startswith(study) for each in job.studies)}
    if len(found) != 1:
        known = ", ".join(dict.fromkeys(each for job in jobs for each in job.studies)) or "none"
        problem = "several jobs search" if found else "no job searches"
        raise ClusterError(f"{problem} a study {study!r} on cluster {place.cluster.name!r}; its studies are {known}")
    ((name, ids),) = found.items()
    matching = [each for each in ids if each.startswith(study)]
    return name, matching if len(matching) < len(ids) else ids


def settings_of(cluster: "Cluster") -> list[str]:
    """Return the settings of a study that a cluster decides."""
    return [
        *([f"tracking.mlflow={cluster.tracking}"] if cluster.tracking else []),
        *([f"tracking.storage={cluster.study}"] if cluster.study else []),
        *([f"tracking.files={cluster.storage}"] if cluster.object_store else []),
    ]
