"""What groups the proposer tries in simulated studies of planted accuracies, and that a restart changes nothing."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.guidance.groups import FIRST, Groups
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Measured
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.sampling.distribution import Group
from optuna.storages import InMemoryStorage

from ..drivers import OpenStudy

BEST, HIGHEST = Group("magnitude", 0, "erk"), Group("snip", 0, "erk")
NOISE = 0.02


def study(*overrides: str) -> Study:
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.9,
        "search": {"trials": 60, "theta": "stage"},
        "pretraining": {"iterations": {"choices": [0, 20]}},
        "warmup": {"iterations": 100},
    }
    return parse(with_overrides(settings, overrides))


def at_cost(settings: Study) -> Groups:
    """The groups of a study whose masks cost their pretraining, and a full training 1,000 steps."""
    return Groups(settings, lambda distribution: distribution.pretraining, 1000)


def planted(proposal: Proposal) -> tuple[Outcome, float]:
    """One group is more accurate than the others, by five deviations of a trial."""
    mean = 0.7 if proposal.distribution.group == BEST else 0.6
    return Outcome.FINISHED, mean + NOISE * float(np.random.default_rng(proposal.seed).standard_normal())


def run(
    settings: Study,
    end: Callable[[Proposal], tuple[Outcome, float]] = planted,
    restarts: tuple[int, ...] = (),
    running: int = 3,
) -> list[Proposal]:
    """What is proposed with so many trials in flight; each ends as `end` says, and is half as accurate at half its way.

    The scores of one group are the highest. After each trial of `restarts` another driver takes up what is kept.
    """
    storage, attempts, proposals = InMemoryStorage(), Counter[int](), list[Proposal]()
    opened = OpenStudy(settings, storage, groups=at_cost(settings))
    while (proposal := opened.propose()) is not None:
        attempts[proposal.number] = proposal.attempt
        if proposal.attempt > 1:
            assert proposal.distribution == proposals[proposal.number].distribution
            assert proposal.group_reason == proposals[proposal.number].group_reason
            continue
        proposals.append(proposal)
        if (number := proposal.number - running + 1) >= 0:
            outcome, accuracy = end(proposals[number])
            metrics = {"spectral/objective": 50.0 if proposals[number].distribution.group == HIGHEST else 5.0}
            result = TrialResult(metrics, "d")
            if outcome is Outcome.FINISHED:
                opened.measured(number, attempts[number], Measured(50, accuracy / 2, 1.0))
                result = TrialResult(metrics, "d", 100, accuracy, 1.0)
            opened.finish(number, attempts[number], outcome, result)
        if proposal.number in restarts:
            opened = OpenStudy(settings, storage, groups=at_cost(settings))
    return proposals


def groups_in(proposals: list[Proposal]) -> list[Group]:
    return [proposal.distribution.group for proposal in proposals]


def counts(proposals: list[Proposal]) -> Counter[Group]:
    return Counter(groups_in(proposals))


def test_each_group_gets_two_trials_and_then_the_more_accurate_one_gets_most():
    settings = study()
    proposals = run(settings)
    every = Groups(settings).all
    assert groups_in(proposals)[:12] == every * 2
    assert {each.group_reason for each in proposals[:12]} == {f"one of the first {FIRST} of its group"}
    assert all(each.group_reason.startswith("Thompson draw 0.") for each in proposals[12:])
    # The means of two differ by five of their deviations, and by more later on.
    assert counts(proposals)[BEST] >= 2 + 0.8 * 48


def test_a_group_of_high_scores_and_low_accuracies_gets_few_trials_unless_scores_guide():
    assert counts(run(study()))[HIGHEST] <= 4
    by_objective = run(study("search.groups=objective"))
    assert {each.group_reason for each in by_objective} == {"chosen by the sampler"}
    # One in six, were it by chance: 10, with a deviation of 2.9.
    assert counts(by_objective)[HIGHEST] > 25


@pytest.mark.parametrize("groups", ["accuracy", "objective", "uniform"])
@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2", "qmc", "random"])
def test_a_study_that_is_resumed_chooses_what_the_uninterrupted_one_would(sampler, groups):
    settings = study(f"search.groups={groups}", f"search.sampler={sampler}", "search.trials=24")
    assert run(settings, restarts=(0, 5, 13, 20)) == run(settings)


@pytest.mark.parametrize("overrides", [("search.groups=uniform",), ("search.sampler=random",), ("search.sampler=qmc",)])
def test_uniform_groups_do_not_depend_on_what_trials_came_to(overrides):
    settings = study("search.trials=300", "search.theta=none", *overrides)
    found = groups_in(run(settings))
    assert found == groups_in(run(settings, lambda proposal: (Outcome.FAILED, 0.0), running=1))
    assert found != groups_in(run(study("search.trials=300", "search.theta=none", "seed=1", *overrides)))
    for group in Groups(settings).all:
        # Binomial: 300/6, within five deviations.
        assert abs(found.count(group) - 50) < 5 * math.sqrt(300 * 5 / 36)


@pytest.mark.parametrize(("accurate", "pretrained"), [(0.7, 0.7), (0.5, 0.8)])
def test_a_dearer_group_that_is_not_better_at_equal_cost_gets_two_trials(accurate, pretrained):
    """With 1,000 steps of pretraining for 1,000 of training, only half of the warm-up counts."""
    settings = study("pretraining.iterations={choices=[0, 1000]}", "search.sources=['snip']", "search.trials=40")

    def end(proposal: Proposal) -> tuple[Outcome, float]:
        return Outcome.FINISHED, pretrained if proposal.distribution.pretraining else accurate

    assert counts(run(settings, end)) == {Group("snip", 0, "erk"): 38, Group("snip", 1000, "erk"): 2}


def test_a_dearer_group_that_is_better_at_equal_cost_gets_most():
    settings = study("pretraining.iterations={choices=[0, 1000]}", "search.sources=['snip']", "search.trials=40")
    found = counts(run(settings, lambda one: (Outcome.FINISHED, 0.9 if one.distribution.pretraining else 0.3)))
    assert found == {Group("snip", 0, "erk"): 2, Group("snip", 1000, "erk"): 38}
