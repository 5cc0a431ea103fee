"""The pages of studies in the MLflow UI."""

from pathlib import Path

from ...models.errors import InputError, first_line
from ..files import Home
from ..names import Kind, Tag
from .addresses import EXPERIMENTS, LEADERBOARD, run_page, runs_page
from .destination import Destination, record_file
from .event import from_line
from .server import without_password
from .tracking import client_for


def newest_study(home: Home) -> str | None:
    """Return the id of the study of `home` that began last; None where there is none with a record."""
    begun = {}
    for spool in home.found("*/spool.jsonl"):
        if home.study(spool.parent.name).settings.exists() and (when := _begun(spool)) is not None:
            begun[spool.parent.name] = when
    return max(begun, key=lambda study: begun[study], default=None)


def _begun(spool: Path) -> int | None:
    """Return the time of the first event of a spool; None where it has none."""
    with spool.open("rb") as file:
        event = from_line(file.readline())
    return None if event is None else event.time


def pages_of(home: Home, study: str) -> list[str]:
    """Return the addresses of a study from that of the UI on: its own page, then the list of its runs.

    Those of all experiments where MLflow has not been told of it yet. Raises InputError where no server answers.
    """
    destination = Destination.read(record_file(home.study(study).spool), home)
    server = destination.server if destination else None
    client = client_for(home, server)
    from mlflow.exceptions import MlflowException

    try:
        for experiment in client.search_experiments(filter_string=f"tags.`{Tag.KEY}` = '{study}'"):
            number, condition = experiment.experiment_id, f"tags.`{Tag.KIND}` = '{Kind.STUDY}'"
            own = [run_page(number, run.info.run_id) for run in client.search_runs([number], condition, max_results=1)]
            view = LEADERBOARD if Tag.view(LEADERBOARD) in experiment.tags else None
            return [*own, runs_page(number, view)]
    except MlflowException as error:
        where = without_password(server or str(home.path))
        raise InputError(f"MLflow does not answer at {where}: {first_line(error)}") from None
    return [EXPERIMENTS]
