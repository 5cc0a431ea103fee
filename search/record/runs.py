"""What the runs of searches and checks have in common."""

from ...models.recipe import Recipe
from ..names import Param, Tag
from ..protocol.outcome import Outcome


def training_params(recipe: Recipe) -> dict[str, object]:
    """Return the parameters of a run that trains with `recipe`."""
    return {Param.setting("training", name): value for name, value in vars(recipe).items()}


def reason_tag(reason: str | None) -> dict[str, str]:
    """Return the tag that holds why a trial or training ended as it did, where there is a reason."""
    return {} if reason is None else {Tag.REASON: reason}


def run_status(outcome: Outcome) -> str:
    """Return MLflow's status of a run that ended so: every end is a result, unless it failed."""
    return "FAILED" if outcome is Outcome.FAILED else "FINISHED"
