"""Where a mask comes from, as its export and the record of the best one say it."""

from collections.abc import Mapping

from ..config.study import Study
from ..files import JsonObject
from ..names import Metric, Param
from ..protocol.label import Label
from ..protocol.proposal import Proposal, Values
from .environment import environment
from .runs import training_params

#: What begins the metrics of a mask that its provenance holds.
_METRICS = (Metric.SPECTRAL, Metric.SCORES, Metric.SPARSITIES, Metric.ACCURACIES, Metric.COSTS)


def provenance(
    study: str, label: Label, params: Mapping[str, object], metrics: Mapping[str, object], run: str | None = None
) -> JsonObject:
    """Return what is known of the mask called `label` of a study, by the names of the record.

    `params` and `metrics` are those of its run, of which only what says something of a mask is taken; `run` is its
    MLflow id. The versions are those that write it.
    """
    known = {name: value for name, value in metrics.items() if name.startswith(_METRICS) and value is not None}
    own = {"study": study, "trial": label} | ({"run": run} if run else {})
    return {**own, "params": dict(params), "metrics": known, "versions": environment()}


def proposal_params(proposal: Proposal) -> dict[str, object]:
    """Return the parameters of the run of a trial that say what its masks are drawn from."""
    distribution = proposal.distribution
    rounds = {Param.ROUNDS: distribution.rounds, Param.ROUND_ITERATIONS: distribution.round_iterations}
    return {
        Param.SOURCE: distribution.source,
        Param.TEMPERATURE: distribution.temperature,
        Param.SEED: str(proposal.seed),
        Param.BATCH_SEED: distribution.batch_seed,
        Param.ALLOCATION: distribution.allocation,
        Param.PRETRAINING: distribution.pretraining,
        **{name: value for name, value in rounds.items() if value is not None},
        Param.GROUP: str(distribution.group),
        **{Param.theta(group): value for group, value in distribution.theta.items()},
    }


def task_params(study: Study) -> dict[str, object]:
    """Return the parameters of a study that say what its masks are for."""
    return {
        Param.MODEL: study.model,
        Param.DATA: study.data,
        Param.SPARSITY: study.sparsity,
        Param.OBJECTIVE: ", ".join(study.objectives),
        Param.VARIANT: study.variant,
    }


def study_params(study: Study, training: Values) -> dict[str, object]:
    """Return the parameters of a study that say what a mask is for and how it is trained."""
    recipe = training_params(study.training.recipe(dict(training)))
    return {**task_params(study), Param.EPOCHS: study.final.epochs, **recipe}
