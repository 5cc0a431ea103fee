"""The work of a study: what its trials need, and how far gate and rungs let them come."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.storages import InMemoryStorage

from ...models.batches import batches_per_epoch
from ..config.study import Study
from ..driver.referee import Referee
from ..guidance.groups import Groups
from ..guidance.proposer import Proposer
from ..protocol.proposal import Proposal
from ..sampling.distribution import Group
from ..store.ledger import Ledger
from ..store.writer import take_over
from ..worker.pretraining import schedule_iterations
from ..worker.workbench import Workbench


@dataclass(frozen=True)
class TrialWork:
    """The work of one trial before its warm-up."""

    source: str
    group: Group
    key: Hashable
    """Names the scores that it shares with others."""
    steps: int
    """Optimizer steps that its source runs for these scores, once for all who share them."""


@dataclass(frozen=True)
class Workload:
    """The work of a study."""

    study: Study
    trials: Sequence[TrialWork]
    full_iterations: int
    """Optimizer steps of a full training."""
    pretraining: int
    """Optimizer steps of the dense pretraining."""
    parameters: int
    weights: int
    """Those of the parameters that are prunable."""

    def reached(self, seed: int) -> list[int]:
        """Return the iterations that each trial trains for, by the study's own gate and rungs on drawn scores.

        Scores and accuracies are drawn uniformly and independently: who passes is chance, how many do is the study's.
        """
        study, generator = self.study, np.random.default_rng([self.study.seed, seed])
        referee = Referee(study.warmup, study.gate, study.seed)
        if not study.warmup.iterations:
            return [0] * len(self.trials)
        for number, trial in enumerate(self.trials):
            referee.scored(number, float(generator.random()), trial.group)
            if referee.stopped(number) is None:
                for rung in study.warmup.rungs:
                    if referee.stopped(number) is None:
                        merit = float(generator.random())
                        referee.measured(number, rung, merit, -merit)
            referee.ended(number)
        ends = [referee.stopped(number) for number in range(len(self.trials))]
        return [study.warmup.iterations if end is None else end for end in ends]


def proposals_of(workbench: Workbench) -> list[Proposal]:
    """Return what the study would propose if its sampler learned nothing; nothing of it is kept."""
    study = workbench.study
    alike = study.model_copy(update={"search": study.search.model_copy(update={"sampler": "random"})})
    groups = Groups(alike, workbench.source_cost, schedule_iterations(study, workbench.data))
    ledger = take_over(Ledger(alike, InMemoryStorage()))
    return list(iter(Proposer(alike, ledger, list(workbench.setting.weights), groups).propose, None))


def workload_of(workbench: Workbench, proposals: Sequence[Proposal]) -> Workload:
    """Return the work of a study, of which `proposals` are the trials."""
    study = workbench.study
    trials = []
    for proposal in proposals:
        distribution = proposal.distribution
        trains = workbench.source(distribution.source).trains
        key = (distribution.pretraining, workbench.score_key(distribution))
        steps = workbench.source_steps(distribution) if trains else 0
        trials.append(TrialWork(distribution.source, distribution.group, key, steps))
    per_epoch = batches_per_epoch(workbench.data.splits["train"], study.training.recipe().batch_size)
    return Workload(
        study,
        trials,
        study.final.epochs * per_epoch,
        max(study.pretraining.each),
        sum(parameter.numel() for parameter in workbench.model.parameters()),
        sum(math.prod(shape) for shape in workbench.shapes.values()),
    )
