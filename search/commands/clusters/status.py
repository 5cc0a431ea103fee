"""`fullspectrum clusters status`: what a cluster has, and what runs on it."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import RUNS, ClusterName, ClusterSettings, HomeFolder
from .meant import target

if TYPE_CHECKING:
    from ....clusters.jobs import ClusterState, JobState
    from ...files import Home
    from ...report.status import Status


def status(
    cluster: ClusterName,
    cluster_settings: ClusterSettings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Say which nodes a cluster has, which searches run or ran on it, and how far they are.

    Example: fullspectrum clusters status local
    """
    place = target(cluster, cluster_settings)
    seen = place.status()

    from ...files import Home

    # Where the nodes' home is not visible here, its folders are missing.
    visible = Home(Path(place.home(home)))
    studies = {study: found for job in seen.jobs for study in job.studies if (found := _study(visible, study))}
    if as_json:
        typer.echo(json.dumps(_document(place.cluster.name, place.cluster.kind, seen, studies), allow_nan=False))
        return
    for line in _lines(place.cluster.name, place.cluster.kind, seen, studies):
        typer.echo(line)


def _study(home: "Home", study: str) -> "Status | None":
    """Return where a study stands, by its files; None where they are not visible from here."""
    from ....models.errors import InputError
    from ...config.studyfile import find_study
    from ...report.status import status_of
    from ...store.ledger import Ledger

    if not home.study(study).settings.exists():
        return None
    try:
        found, folder = find_study(study, [], home)
        return status_of(found, folder, Ledger.of_folder(found, folder))
    except InputError:
        # Its storage may be one that only the nodes reach.
        return None


def _document(name: str, kind: str, seen: "ClusterState", studies: "dict[str, Status]") -> dict[str, Any]:
    jobs = [
        asdict(job) | {"studies": {each: studies[each].to_dict() if each in studies else None for each in job.studies}}
        for job in seen.jobs
    ]
    nodes = [asdict(node) for node in seen.nodes]
    return {"cluster": name, "kind": kind, "running": seen.running, "nodes": nodes, "jobs": jobs}


def _lines(name: str, kind: str, seen: "ClusterState", studies: "dict[str, Status]") -> Iterator[str]:
    if not seen.running:
        yield f"cluster {name} ({kind}) does not run; `fullspectrum launch` starts it"
    else:
        alive = [node for node in seen.nodes if node.alive]
        lost = len(seen.nodes) - len(alive)
        yield f"cluster {name} ({kind}): {len(alive)} nodes" + (f", {lost} lost" if lost else "")
        for node in alive:
            yield f"  {node.name:<20} {_resources(node.resources)}"
    for job in seen.jobs:
        yield _job(job)
        for each in job.studies:
            if each in studies:
                found = studies[each]
                best = f", best so far {found.best.label}" if found.best else ""
                yield f"  study {each}: {found.ended} of {found.study.search.trials} trials ended{best}"


def _job(job: "JobState") -> str:
    end = job.ended if job.ended else time.time()
    lasted = f" for {(end - job.started) / 60:.0f} min" if job.started else ""
    return f"job {job.id}: {job.phase}{lasted}" + (f": {job.message}" if job.message else "")


def _resources(resources: dict[str, float]) -> str:
    shown = [f"{amount:g} {key}" for key, amount in sorted(resources.items()) if key in ("CPU", "GPU")]
    return ", ".join(shown) or "no CPU for trials"
