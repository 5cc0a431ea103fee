"""The contents of a report from the record of a study at an MLflow server."""

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...models.errors import InputError, first_line
from ..config.studyfile import parse
from ..files import JsonObject
from ..names import Artifact, Metric, Tag
from ..protocol.label import Label
from ..protocol.network import NetworkListing
from ..record.lookup import run_of, searches
from ..record.server import without_password
from .contents import Contents, export_commands
from .facts import StudyFacts, layer_sparsities, read_json
from .gallery import PICTURES
from .leaderboard import rows_of_table
from .sparsityplot import MOST
from .verdicts import against_baselines

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

#: What the record holds of a whole study.
_TABLES = (Artifact.STUDY, Artifact.LEADERBOARD, Artifact.AUDIT, Artifact.ENVIRONMENT, Artifact.NETWORK)

_STATES = {
    "RUNNING": "The search still runs, or its machine went away; its tables are recorded at its end.",
    "SCHEDULED": "The search has not begun.",
    "FAILED": "The search did not come to its end. What stands here may change.",
    "KILLED": "The search was interrupted. What stands here may change.",
}


def contents_of_server(client: "MlflowClient", server: str, study: str, scratch: Path) -> Contents:
    """Return what a report of the study whose id begins with `study` says, by its record at a server.

    Its files go to the folder `scratch`. Raises InputError where there is no such study, or several, and where the
    server does not answer or its record cannot be read.
    """
    shown = without_password(server)
    try:
        run = _search_run(client, shown, study)
        there = {file.path for file in client.list_artifacts(run.info.run_id)}
        tables = {name: _table(client, run, name, scratch) for name in _TABLES if name in there}
        return _contents(client, shown, run, there, tables, scratch)
    except InputError:
        raise
    except Exception as error:
        # Whatever a server answers, or its files hold: of many kinds, by many libraries.
        raise InputError(f"cannot read study {study!r} at {shown}: {first_line(error)}") from error


def _search_run(client: "MlflowClient", shown: str, study: str) -> "Run":
    """Return the run of the search."""
    found = searches(client, _prefix(study))
    if len(found) != 1:
        ids = ", ".join(sorted(run.data.tags[Tag.KEY] for run in found))
        problem = f"more than one study begins with {study!r} at {shown}: {ids}" if found else f"no study {study!r}"
        raise InputError(problem if found else f"{problem} at {shown}; give the id of a study, or how it begins")
    return found[0]


def _prefix(study: str) -> str:
    if not study or not set(study) <= set("0123456789abcdef"):
        raise InputError(f"{study!r} is no id of a study, twelve hexadecimal digits, or how it begins")
    return study


def _table(client: "MlflowClient", run: "Run", name: str, scratch: Path) -> JsonObject:
    path = Path(client.download_artifacts(run.info.run_id, name, str(scratch)))
    found = read_json(path)
    if found is None:
        raise InputError(
            f"{name} of study {run.data.tags.get(Tag.KEY)} is no JSON object; it was not written by a search"
        )
    return found


def _contents(
    client: "MlflowClient",
    shown: str,
    run: "Run",
    there: set[str],
    tables: dict[str, JsonObject],
    scratch: Path,
) -> Contents:
    settings = tables.get(Artifact.STUDY) or {}
    # The record holds it in digits, because a browser rounds large numbers.
    study = parse(settings | {"seed": int(settings["seed"])} if "seed" in settings else settings)
    rows = rows_of_table(tables[Artifact.LEADERBOARD]) if Artifact.LEADERBOARD in tables else []
    runs = dict(_trial_runs(client, run, [row.label for row in rows if not row.is_baseline][:MOST]))
    pictures = {name: Path(client.download_artifacts(run.info.run_id, name, str(scratch))) for name in _recorded(there)}
    sparsities: dict[str, dict[str, float]] = {}
    for label, trial in runs.items():
        folder = scratch / str(label.number)
        folder.mkdir()
        with contextlib.suppress(FileNotFoundError, OSError):
            path = client.download_artifacts(trial.info.run_id, Artifact.COORDINATE, str(folder))
            sparsities[label] = layer_sparsities(Path(path))
    facts = StudyFacts(study, rows, cast(NetworkListing | None, tables.get(Artifact.NETWORK)), sparsities=sparsities)
    best = runs.get(facts.best.label) if facts.best else None
    if best is not None:
        names = {file.path for file in client.list_artifacts(best.info.run_id)}
        if Artifact.COORDINATE_PICTURE in names:
            name = Artifact.COORDINATE_PICTURE
            pictures[name] = Path(client.download_artifacts(best.info.run_id, name, str(scratch)))
    images, classes = facts.images("test"), facts.classes
    return Contents(
        facts,
        _STATES.get(run.info.status, ""),
        against_baselines(rows, images, classes) if images and classes else [],
        tables.get(Artifact.AUDIT, {}),
        tables.get(Artifact.ENVIRONMENT, {}),
        {},
        export_commands(best.info.run_id, f" --tracking {shlex.quote(shown)}") if best else [],
        f"the MLflow server {shown}",
        pictures,
        _missing(tables, images),
        costs=_costs(best) if best else {},
    )


def _costs(run: "Run") -> dict[str, float]:
    """Return what the network costs under the mask of a trial's run."""
    metrics = run.data.metrics.items()
    return {name.removeprefix(Metric.COSTS): value for name, value in metrics if name.startswith(Metric.COSTS)}


def _recorded(there: set[str]) -> list[str]:
    return [picture.file for picture in PICTURES if picture.file in there]


def _trial_runs(client: "MlflowClient", run: "Run", labels: Sequence[Label]) -> Iterator[tuple[Label, "Run"]]:
    """Yield the runs of trials of a search that are there."""
    for label in labels:
        if (found := run_of(client, run, label)) is not None:
            yield label, found


def _missing(tables: dict[str, JsonObject], images: int | None) -> list[str]:
    found = [f"{name}, which is not in the record" for name in _TABLES if name not in tables]
    if Artifact.NETWORK in tables and not images:
        found.append("the number of images of each split: errors of accuracies are left out")
    return [
        *found,
        "learning curves, importances and slices, which are drawn from the folder of the study where it ran",
    ]
