"""Decisions that the order of arrival does not change."""

import numpy as np
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.driver.referee import Referee
from fullspectrum.search.sampling.distribution import Group
from hypothesis import given, settings
from hypothesis import strategies as st

#: Where nothing depends on it.
GROUP = Group("random", 0, "erk")


LOW, HIGH = Group("random", 0, "erk"), Group("synflow", 0, "erk")


def study(gate: float = 0.5, control: float = 0.0, within: str = "group", **warmup) -> Study:
    values = {"iterations": 90, "grace_period": 10, "reduction_factor": 3.0, "report_every": 5} | warmup
    return parse(
        {
            "model": "digits_cnn",
            "data": "digits",
            "sparsity": 0.9,
            "gate": {"quantile": gate, "control": control, "within": within},
            "warmup": values,
        }
    )


def referee_of(settings: Study) -> Referee:
    return Referee(settings.warmup, settings.gate, settings.seed)


def after_the_gate(trials: int, **warmup) -> Referee:
    referee = referee_of(study(gate=1.0, **warmup))
    for number in range(trials):
        referee.scored(number, 1.0, GROUP)
    return referee


def test_rungs_are_the_grace_period_and_its_multiples_below_the_end():
    assert study().warmup.rungs == [10, 30]
    assert study(iterations=91).warmup.rungs == [10, 30, 90]
    assert study(reduction_factor=2.5).warmup.rungs == [10, 25, 63]
    assert study(early_stopping=False).warmup.rungs == []


@pytest.mark.parametrize("iterations", [0, 1, 10])
def test_a_warm_up_no_longer_than_the_grace_period_has_no_rungs(iterations):
    assert study(iterations=iterations).warmup.rungs == []


def test_every_trial_reports_at_each_rung_whatever_it_reports_besides():
    assert study(report_every=40).warmup.reports == [10, 30, 40, 80, 90]
    assert study(report_every=45, early_stopping=False).warmup.reports == [45, 90]


def test_the_gate_decides_by_the_scores_of_lower_numbers_alone():
    referee = referee_of(study())
    referee.scored(1, 1.0, GROUP)
    assert (referee.gate(1), referee.clearance(1)) == (None, -1)
    referee.scored(0, 2.0, GROUP)
    assert (referee.gate(0), referee.clearance(0)) == ("passed", 10)
    # As if trial 0 had been first all along.
    assert (referee.gate(1), referee.stopped(1), referee.clearance(1)) == ("stopped", 0, 0)


@pytest.mark.parametrize(
    ("within", "decisions"),
    [
        # By hand: of one group 1 of 1, 1 of 2, 2 of 3; of the other 1 of 1, 1 of 2, 2 of 3.
        ("group", ["passed", "passed", "stopped", "passed", "passed", "stopped"]),
        # 1 of 1, 1 of 2, 2 of 3, 2 of 4, 3 of 5, 3 of 6: the greater scale has the upper half.
        ("study", ["passed", "passed", "stopped", "passed", "stopped", "passed"]),
    ],
)
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (3, 0, 5, 2, 4, 1)])
def test_scores_are_compared_within_their_group_or_over_the_study(within, decisions, order):
    referee = referee_of(study(within=within))
    scores = [(4.0, LOW), (40.0, HIGH), (3.0, LOW), (50.0, HIGH), (3.5, LOW), (30.0, HIGH)]
    for number in order:
        referee.scored(number, *scores[number])
    assert [referee.gate(number) for number in range(6)] == decisions


def test_a_trial_that_never_gets_a_score_holds_nobody_up():
    referee = referee_of(study())
    referee.scored(1, 1.0, GROUP)
    assert referee.gate(1) is None
    referee.ended(0)
    assert referee.gate(1) == "passed"
    assert referee.decided(0, 0)


def test_a_rung_stops_those_below_the_best_third_of_the_lower_numbers():
    referee = after_the_gate(4)
    for number, accuracy in enumerate((0.9, 0.5, 0.1, 0.95)):
        referee.measured(number, 10, accuracy)
    assert [referee.stopped(number) for number in range(4)] == [None, 10, 10, None]
    assert referee.clearance(0) == 30


def test_a_rung_waits_for_lower_numbers_and_meanwhile_nothing_further_counts():
    referee = after_the_gate(2)
    referee.measured(1, 10, 0.5)
    referee.measured(1, 30, 0.6)
    assert (referee.stopped(1), referee.clearance(1)) == (None, 10)
    assert not referee.decided(1, 90)
    referee.measured(0, 10, 0.9)
    assert referee.stopped(1) == 10
    assert referee.decided(1, 90)


def test_between_rungs_nobody_is_stopped():
    referee = after_the_gate(2)
    for number, accuracy in enumerate((0.9, 0.1)):
        referee.measured(number, 5, accuracy)
    assert [referee.stopped(number) for number in range(2)] == [None, None]


def test_without_early_stopping_only_the_gate_stops():
    referee = referee_of(study(early_stopping=False))
    for number, score in enumerate((2.0, 1.0)):
        referee.scored(number, score, GROUP)
    assert [referee.stopped(number) for number in range(2)] == [None, 0]
    assert referee.clearance(0) == np.inf


def test_a_spectral_only_study_has_nothing_to_decide():
    referee = referee_of(study(iterations=0))
    referee.scored(5, 1.0, GROUP)
    assert (referee.gate(5), referee.clearance(5), referee.decided(5, 0)) == (None, np.inf, True)


def test_a_trial_that_diverges_waits_for_the_decisions_before_its_end_and_no_others():
    referee = after_the_gate(2)
    referee.measured(1, 10, 0.9)
    referee.ended(1)
    # The rung that it reached could still have stopped it.
    assert not referee.decided(1, 20)
    referee.measured(0, 10, 0.5)
    assert referee.decided(1, 20)


TRIALS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 5)),
        st.lists(st.integers(0, 5), min_size=18, max_size=18),
        st.one_of(st.none(), st.integers(0, 17)),
    ),
    min_size=1,
    max_size=12,
)


def play(trials: list, order: np.random.Generator | None) -> list[tuple]:
    """Feeds each trial's facts, one after the other or in a random mixture; what the referee says in the end."""
    setting = study(0.6, 0.2)
    referee, points = referee_of(setting), setting.warmup.reports
    facts = []
    for number, (score, accuracies, diverges) in enumerate(trials):
        mine = [("scored", (number, float(score), GROUP))] if score is not None else []
        last = len(points) if diverges is None else diverges
        if mine:
            mine += [("measured", (number, point, a / 5)) for point, a in zip(points[:last], accuracies, strict=False)]
        facts.append([*mine, ("ended", (number,))])
    queues = {number: list(mine) for number, mine in enumerate(facts)}
    while queues:
        number = min(queues) if order is None else int(order.choice(list(queues)))
        kind, arguments = queues[number].pop(0)
        getattr(referee, kind)(*arguments)
        if not queues[number]:
            del queues[number]
    return [
        (referee.gate(n), referee.stopped(n), referee.clearance(n), referee.decided(n, 90)) for n in range(len(trials))
    ]


@given(TRIALS, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=200)
def test_decisions_do_not_depend_on_who_reports_first(trials, seed):
    assert play(trials, np.random.default_rng(seed)) == play(trials, None)


@given(TRIALS)
@settings(deadline=None, max_examples=50)
def test_once_all_have_ended_all_is_decided(trials):
    assert all(decided for *_, decided in play(trials, None))


def test_the_first_rung_is_at_half_of_the_warm_up_unless_it_is_set():
    assert study(iterations=500, grace_period=None).warmup.rungs == [250]
    assert study(iterations=3, grace_period=None).warmup.rungs == [2]
    assert study(iterations=1, grace_period=None).warmup.rungs == []


def test_by_training_loss_the_greater_sum_so_far_is_stopped_whatever_the_accuracy():
    referee = after_the_gate(2, metric="training_loss")
    # 5 · 2 + 5 · 1 = 15, and 5 · 1 + 5 · 2.1 = 15.5: the mean of the last piece alone is not what counts either.
    for number, losses, accuracy in ((0, (2.0, 1.0), 0.1), (1, (1.0, 2.1), 0.9)):
        for iteration, loss in zip((5, 10), losses, strict=True):
            referee.measured(number, iteration, accuracy, loss)
    assert [referee.stopped(number) for number in range(2)] == [None, 10]


def halved_in_order(curves: np.ndarray, points: list[int], rungs: list[int]) -> list[int | None]:
    """Successive halving by sums of losses, trial after trial: where each is stopped."""
    sums = dict(zip(points, np.cumsum(curves * np.diff([0, *points]), axis=1).T, strict=True))
    reached, stopped = {rung: [] for rung in rungs}, []
    for number in range(len(curves)):
        end = None
        for rung in rungs:
            slower = bool(reached[rung]) and -sums[rung][number] < np.percentile(reached[rung], (1 - 1 / 3) * 100)
            reached[rung].append(-sums[rung][number])
            if slower:
                end = rung
                break
        stopped.append(end)
    return stopped


@given(st.integers(1, 15), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_by_training_loss_the_decisions_are_those_of_trials_that_ran_one_after_the_other(trials, seed):
    setting = study(1.0, metric="training_loss")
    referee, points, generator = referee_of(setting), setting.warmup.reports, np.random.default_rng(seed)
    # Whole numbers, whose sums are exact, and ties among them.
    curves = generator.integers(0, 8, size=(trials, len(points))).astype(float)
    for number in range(trials):
        referee.scored(number, 1.0, GROUP)
    done = [0] * trials
    for number in generator.permutation(np.repeat(np.arange(trials), len(points))).tolist():
        # Each trial reports in the order of iterations, trials in any.
        referee.measured(number, points[done[number]], 0.5, float(curves[number, done[number]]))
        done[number] += 1
    expected = halved_in_order(curves, points, setting.warmup.rungs)
    assert [referee.stopped(number) for number in range(trials)] == expected
