"""Which group the next trial belongs to: each a few times, then the one whose accuracies at equal cost are best."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.guidance.groups import FIRST, Groups
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Measured
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.sampling.distribution import Group, MaskDistribution
from fullspectrum.search.store.records import TrialRecord

W, FINISHED = 100, Outcome.FINISHED


def study(*overrides: str) -> Study:
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.98, "warmup": {"iterations": W}}
    return parse(with_overrides(settings, ("search.trials=60", *overrides)))


def record(number: int, group: Group, accuracies: dict[int, float], outcome: Outcome = Outcome.FINISHED) -> TrialRecord:
    """A trial that ended with these validation accuracies by iteration."""
    distribution = MaskDistribution(group.source, 0.0, 0, {}, group.allocation, group.pretraining)
    last = max(accuracies, default=0)
    result = TrialResult(iterations=last, accuracy=accuracies.get(last))
    # As the ledger has it: the last one stands in the result alone.
    measured = {iteration: Measured(iteration, a, 1.0) for iteration, a in accuracies.items() if iteration != last}
    return TrialRecord(Proposal(number, 1, 0, distribution), outcome, result, None, measured)


def run(
    groups: Groups,
    means: dict[str, float],
    trials: range,
    deviation: float = 0.01,
    outcomes: dict[str, Outcome] | None = None,
) -> list[Group]:
    """The groups of trials whose accuracies lie around the mean of their source; they finish unless said otherwise."""
    found = []
    for number in trials:
        group = groups.choose(number).group
        groups.proposed(number, group)
        noise = deviation * np.random.default_rng(number).standard_normal()
        outcome = (outcomes or {}).get(group.source, Outcome.FINISHED)
        groups.learn(record(number, group, {W: means[group.source] + noise}, outcome))
        found.append(group)
    return found


def test_groups_are_all_that_source_pretraining_and_allocation_can_be():
    settings = study(
        "search.sources=['snip','imp']",
        "pretraining.iterations={choices=[0,50]}",
        "search.allocation={choices=['erk']}",
    )
    assert Groups(settings).all == [Group(s, k, "erk") for s in ("snip", "imp") for k in (0, 50)]


def test_each_group_comes_twice_then_the_one_of_the_best_accuracies():
    found = run(
        Groups(study("search.sources=['random','snip','magnitude']")),
        {"random": 0.8, "snip": 0.9, "magnitude": 0.7},
        range(60),
    )
    assert Counter(group.source for group in found[:6]) == {"random": FIRST, "snip": FIRST, "magnitude": FIRST}
    # Means ten standard deviations apart: a Thompson draw of two trials each errs with probability 1e-23.
    assert {group.source for group in found[6:]} == {"snip"}


def test_groups_that_cannot_be_told_apart_all_go_on():
    found = run(Groups(study("search.sources=['random','snip']")), {"random": 0.8, "snip": 0.8}, range(60), 0.05)
    assert min(Counter(group.source for group in found).values()) > 10


def test_a_choice_is_a_function_of_number_and_history():
    means = {"random": 0.80, "snip": 0.82}
    settings = study("search.sources=['random','snip']")
    whole = run(Groups(settings), means, range(40), 0.05)
    again = Groups(settings)
    assert run(again, means, range(15), 0.05) == whole[:15]
    taken_up = Groups(settings)
    for number, group in enumerate(whole[:15]):
        taken_up.proposed(number, group)
        noise = 0.05 * np.random.default_rng(number).standard_normal()
        taken_up.learn(record(number, group, {W: means[group.source] + noise}))
    assert run(taken_up, means, range(15, 40), 0.05) == whole[15:]


def test_an_accuracy_is_read_at_equal_cost():
    """W = 100, F = 300, e_min = 0 and e = 100: read at 100 · 300 / 400 = 75, between the measurements at 50 and 100."""
    settings = study("search.sources=['random','imp']", "search.rounds=1", "search.round_iterations=100")
    cost = {"random": 0, "imp": 100}
    groups = Groups(settings, lambda distribution: cost[distribution.source], 300)
    curve = {50: 0.4, 100: 0.8}
    assert groups._reward(record(0, Group("imp", 0, "erk"), curve)) == pytest.approx(0.6)
    assert groups._reward(record(1, Group("random", 0, "erk"), curve)) == pytest.approx(0.8)
    # One that was stopped before counts with what it had.
    assert groups._reward(record(2, Group("imp", 0, "erk"), {50: 0.4}, Outcome.STOPPED_EARLY)) == pytest.approx(0.4)


def test_before_the_first_measurement_an_accuracy_is_read_from_nothing():
    """W = 100, F = 300 and e = 900: read at 100 · 300 / 1200 = 25, half of the way to the first measurement."""
    settings = study("search.sources=['random','imp']", "search.rounds=1", "search.round_iterations=900")
    groups = Groups(settings, lambda distribution: 900 if distribution.source == "imp" else 0, 300)
    assert groups._reward(record(0, Group("imp", 0, "erk"), {50: 0.4, 100: 0.8})) == pytest.approx(0.2)


def test_the_cheapest_group_has_the_fewest_rounds_that_are_searched():
    settings = study(
        "search.sources=['imp']", "search.rounds={choices=[9,3]}", "search.round_iterations={choices=[100,50]}"
    )
    groups = Groups(settings, lambda distribution: distribution.rounds * distribution.round_iterations, 1000)
    trial = record(0, Group("imp", 0, "erk"), {W: 0.8})
    for rounds, each in ((3, 50), (9, 100)):
        dear = replace(trial.proposal.distribution, rounds=rounds, round_iterations=each)
        reading = groups._reward(replace(trial, proposal=replace(trial.proposal, distribution=dear)))
        # e_min is 3 · 50.
        assert reading == pytest.approx(0.8 * 1150 / (1000 + rounds * each))


def test_what_a_trial_reached_after_it_had_been_stopped_does_not_count():
    groups = Groups(study("search.sources=['random','snip']"))
    stopped = record(0, Group("snip", 0, "erk"), {20: 0.4}, Outcome.STOPPED_EARLY)
    beyond = replace(stopped, measured={40: Measured(40, 0.9, 1.0)})
    assert groups._reward(stopped) == groups._reward(beyond) == 0.4


def test_one_trial_that_diverges_does_not_hide_how_its_group_does():
    groups, best = Groups(study("search.sources=['random','snip']")), Group("snip", 0, "erk")
    for number in range(12):
        group = groups.all[number % 2]
        groups.proposed(number, group)
        accuracy = (0.9 if group == best else 0.6) + 0.01 * (number % 4 > 1)
        groups.learn(record(number, group, {W: accuracy}, Outcome.DIVERGED if number == 5 else Outcome.FINISHED))
    # With 0 for it the mean would be 0.755.
    assert "(mean 0.855 of 6)" in groups.choose(100).reason
    assert {groups.choose(number).group for number in range(100, 200)} == {best}


def test_the_order_in_which_trials_ended_changes_nothing():
    generator = np.random.default_rng(0)
    settings = study("search.sources=['random','snip','magnitude']")
    ends = [
        record(n, Groups(settings).all[n % 3], {W: float(generator.random())}, Outcome.DIVERGED if n == 7 else FINISHED)
        for n in range(30)
    ]
    found = []
    for order in (range(30), reversed(range(30)), generator.permutation(30).tolist()):
        groups = Groups(settings)
        for end in ends:
            groups.proposed(end.number, end.distribution.group)
        for number in order:
            groups.learn(ends[number])
        found.append([groups._known()[1], *(groups.choose(number) for number in range(100))])
        found[-1].append([(math.fsum(known), len(known)) for known in groups._known()[0].values()])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.REJECTED])
def test_a_group_whose_trials_come_to_nothing_is_given_up(outcome):
    groups = Groups(study("search.sources=['random','snip']"))
    found = run(groups, {"random": 0.9, "snip": 0.9}, range(40), 0.0, {"random": outcome})
    assert [group.source for group in found].count("random") == FIRST


def test_a_group_whose_trials_fail_is_no_better_than_the_worst():
    groups = Groups(study("search.sources=['random','snip','magnitude']"))
    means = {"snip": 0.9, "magnitude": 0.5, "random": 0.0}
    found = [group.source for group in run(groups, means, range(60), 0.0, {"random": Outcome.FAILED})]
    assert found.count("random") == FIRST and found.count("snip") > 50


def test_a_group_whose_first_trials_still_run_is_waited_for():
    groups = Groups(study("search.sources=['random','snip']"))
    for number in range(4):
        choice = groups.choose(number)
        groups.proposed(number, choice.group)
        if choice.group.source == "snip":
            groups.learn(record(number, choice.group, {W: 0.5}))
    assert all(groups.choose(number).group.source == "snip" for number in range(4, 20))


@pytest.mark.parametrize("setting", ["search.sampler=random", "search.groups=uniform", "search.sampler=qmc"])
def test_uniform_draws_repeat_themselves_whatever_was_learned(setting):
    settings = study("search.sources=['random','snip','magnitude']", setting)
    drawn = [Groups(settings).choose(number).group for number in range(3000)]
    groups = Groups(settings)
    run(groups, {"random": 0.8, "snip": 0.9, "magnitude": 0.7}, range(20))
    assert [groups.choose(number).group for number in range(3000)] == drawn
    for source in settings.search.sources:
        # Each count is binomial: 1000 within five standard deviations of sqrt(3000 · 1/3 · 2/3).
        assert abs([group.source for group in drawn].count(source) - 1000) < 5 * (3000 * 2 / 9) ** 0.5


def test_a_study_that_trains_nothing_takes_them_in_turn():
    groups = Groups(study("search.sources=['random','snip']", "warmup.iterations=0"))
    assert [groups.choose(number).group.source for number in range(4)] == ["random", "snip", "random", "snip"]


def test_guided_by_the_objective_the_sampler_chooses():
    choice = Groups(study("search.groups=objective")).choose(0)
    assert (choice.group, choice.given) == (None, {})
    assert Groups(study("search.groups=objective", "search.sampler=cmaes")).choose(0).reason == "drawn uniformly"


def test_too_few_trials_for_all_groups_are_warned_of():
    assert Groups(study("search.sources=['random','snip']", "search.trials=3")).warning.startswith("search.trials = 3")
    assert Groups(study("search.sources=['random','snip']", "search.trials=4")).warning is None
    assert Groups(study("search.sources=['random']", "search.trials=1")).warning is None


def test_a_study_of_one_group_has_no_choice():
    groups = Groups(study("search.sources=['snip']"))
    assert {groups.choose(number).reason for number in range(5)} == {"the only group"}
