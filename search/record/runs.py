"""What the runs of searches and checks have in common."""

import getpass
import json

from ...models.recipe import Recipe
from ..names import Param, Tag
from ..protocol.label import Label
from ..protocol.network import DatasetListing
from ..protocol.outcome import Outcome


def training_params(recipe: Recipe) -> dict[str, object]:
    """Return the parameters of a run that trains with `recipe`."""
    return {Param.setting("training", name): value for name, value in vars(recipe).items()}


def reason_tag(reason: str | None) -> dict[str, str]:
    """Return the tag that holds why a trial or training ended as it did, where there is a reason."""
    return {} if reason is None else {Tag.REASON: reason}


def program_tags(command: str) -> dict[str, str]:
    """Return the tags that say who runs the command of that name, as MLflow shows them."""
    try:
        user = {Tag.USER: getpass.getuser()}
    except (OSError, KeyError):
        # A container's user need not have a name.
        user = {}
    return {**user, Tag.PROGRAM: f"fullspectrum {command}", Tag.PROGRAM_KIND: "LOCAL"}


def dataset_input(dataset: DatasetListing | None) -> dict[str, str] | None:
    """Return a data set as MLflow takes it for the input of a run."""
    if dataset is None:
        return None
    source, profile = json.dumps({"data": dataset["name"]}), json.dumps(dataset["splits"])
    return {
        "name": dataset["name"],
        "digest": dataset["digest"],
        "source_type": "fullspectrum",
        "source": source,
        "profile": profile,
    }


def run_name(label: Label, source: str = "", accuracy: float | None = None, outcome: Outcome | None = None) -> str:
    """Return what a run is called: `#30 snip 0.975 finished` of a trial, `erk-random 0.912` of a baseline.

    The accuracy is the last that is known: on the test split after full training, else that of the warm-up. A baseline
    has its outcome in its name where it did not finish.
    """
    parts = [label if label.is_baseline else f"#{label.number}", source]
    if accuracy is not None:
        parts.append(f"{accuracy:.3f}")
    if outcome is not None and not (label.is_baseline and outcome is Outcome.FINISHED):
        parts.append(outcome.value)
    return " ".join(part for part in parts if part)


def run_status(outcome: Outcome) -> str:
    """Return MLflow's status of a run that ended so: every end is a result, unless it failed.

    KILLED is none of them: nobody killed a trial that gate or rung stopped, and MLflow shows it by the red cross of
    FAILED. The name of the run and the tag of its outcome tell them apart.
    """
    return "FAILED" if outcome is Outcome.FAILED else "FINISHED"
