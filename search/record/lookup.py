"""Runs of searches and of their masks at a tracking server, by the ids of studies and by labels."""

from typing import TYPE_CHECKING

from ..names import Kind, Tag
from ..protocol.label import Label

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def searches(client: "MlflowClient", prefix: str) -> list["Run"]:
    """Return the runs of the searches whose study's id begins with `prefix`, ten at most."""
    condition = f"tags.`{Tag.KIND}` = '{Kind.STUDY}' AND tags.`{Tag.KEY}` LIKE '{prefix}%'"
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, condition, max_results=10))


def run_of(client: "MlflowClient", search: "Run", label: Label) -> "Run | None":
    """Return the run of a trial or a baseline of a search; None where there is none."""
    key = f"{search.data.tags[Tag.KEY]}/{label}"
    found = client.search_runs([search.info.experiment_id], f"tags.`{Tag.KEY}` = '{key}'", max_results=1)
    return found[0] if found else None
