"""What a gate was worth, and what a score would have been worth as one."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from fullspectrum.search.driver.gate import Gate
from fullspectrum.search.report.audit.contrast import contrast, highest
from fullspectrum.search.report.audit.gate import FEWEST_CONTROL, benefit, gate_sample, worth
from scipy.stats import ttest_ind

from .tables import table

GENERATOR = np.random.default_rng(2)


def test_the_benefit_is_the_difference_to_the_control_group_with_welchs_interval():
    passed, control, gone = GENERATOR.normal(0.8, 0.05, 20), GENERATOR.normal(0.7, 0.1, 6), np.full(14, np.nan)
    gates = ["passed"] * 20 + ["control"] * 6 + ["stopped"] * 14
    found = benefit(table(accuracy=np.concatenate([passed, control, gone]), gate=gates, l2=np.arange(40.0)))
    welch = ttest_ind(passed, control, equal_var=False).confidence_interval()
    assert found.difference == pytest.approx(passed.mean() - control.mean())
    assert found.difference - found.error == pytest.approx(welch.low)
    assert (found.counts, found.sign) == ((20, 6), 1)


def test_without_gate_or_control_group_there_is_no_benefit():
    columns = {"accuracy": np.arange(9.0), "l2": np.arange(9.0)}
    assert benefit(table(**columns)) is None
    assert benefit(table(**columns, gate=["passed"] * 9)) is None


def test_early_stopping_does_not_flatter_the_control_group():
    # All control masks but the best were stopped: of accuracies at the end that one alone is left.
    reached, accuracy = np.array([0.6, 0.6, 0.7, 0.2, 0.2, 0.9]), np.array([0.8, 0.8, 0.9, np.nan, np.nan, 0.95])
    found = table(accuracy=accuracy, gate=["passed"] * 3 + ["control"] * 3, l2=np.arange(6.0))
    assert benefit(replace(found, reached=reached)).difference == pytest.approx(0.2)
    assert benefit(found).difference < 0


def test_a_gate_by_noise_is_worth_nothing_however_much_its_groups_differ():
    # The small groups are the better ones, and more of them passes: the first of each always does.
    groups = np.array(["poor"] * 40 + [f"good {number // 2}" for number in range(40)])
    generator, benefits, gains = np.random.default_rng(5), [], []
    for seed in range(100):
        gate, score = Gate(0.5, 0.3, seed), generator.normal(size=80)
        gates = [gate.decide(number, score[number], group) for number, group in enumerate(groups)]
        accuracy = np.where(groups == "poor", 0.5, 0.9) + generator.normal(0, 0.01, 80)
        masks = table(accuracy=np.where(np.array(gates) == "stopped", np.nan, accuracy), gate=gates, l2=score)
        benefits.append(benefit(replace(masks, gated=groups)).difference)
        # A score that tells the groups apart and nothing else is worth as little.
        telling = replace(table(accuracy=accuracy, l2=score + 9 * (groups != "poor")), gated=groups)
        gains.append(worth(telling, "l2", gate_sample(telling)).gain)
    for found in (benefits, gains):
        # Four standard errors of a mean of independent studies.
        assert abs(np.mean(found)) < 4 * np.std(found, ddof=1) / len(found) ** 0.5 < 0.01


def test_the_control_group_is_the_sample_where_it_is_large_enough():
    for control in (FEWEST_CONTROL, FEWEST_CONTROL - 1):
        gates = ["passed"] * 10 + ["control"] * control + ["stopped"] * 5
        accuracy = np.concatenate([np.arange(10.0 + control), np.full(5, np.nan)])
        sample = gate_sample(table(accuracy=accuracy, gate=gates, l2=np.arange(15.0 + control)))
        assert sample.fair is (control == FEWEST_CONTROL)
        assert sample.usable.sum() == (control if sample.fair else 10 + control)
    assert gate_sample(table(accuracy=np.arange(9.0), l2=np.arange(9.0))).usable.all()


def test_a_score_that_knows_accuracy_wins_all_there_is_and_regrets_nothing():
    accuracy = GENERATOR.permutation(np.arange(20.0))
    masks = table(accuracy=accuracy, good=accuracy, bad=-accuracy)
    sample = gate_sample(masks)
    good, bad = worth(masks, "good", sample), worth(masks, "bad", sample)
    # The upper half of 0 … 19 has the mean 14.5, all have 9.5, and the best of the lower half is 9.
    assert (good.gain, good.regret, bad.gain, bad.regret) == pytest.approx((5, 0, -5, 10))
    halves = ttest_ind(np.arange(10, 20), np.arange(10), equal_var=False).confidence_interval()
    assert good.error == pytest.approx((halves.high - halves.low) / 4)


def test_the_regret_of_chance_is_its_mean_over_all_draws():
    accuracy = np.array([0.1, 0.5, 0.5, 0.7, 0.95, 0.2, 0.3])
    masks = replace(table(accuracy=accuracy, l2=np.arange(7.0)), quantile=0.4)
    found = worth(masks, "l2", gate_sample(masks))
    # 0.4 of 7, rounded up, are 3.
    draws = [0.95 - max(draw) for draw in combinations(accuracy, 3)]
    assert found.chance_regret == pytest.approx(np.mean(draws))


def test_over_optimisation_is_seen_in_the_top_tenth():
    score = np.linspace(0, 1, 60)
    accuracy = np.where(score > 0.9, 0.5, 0.8) + GENERATOR.normal(0, 0.02, 60)
    masks = table(accuracy=accuracy, l2=score, fair=-accuracy)
    top = worth(masks, "l2", gate_sample(masks)).top
    assert (top.counts, top.sign) == ((6, 30), -1)
    assert top.difference == pytest.approx(-0.3, abs=0.03)


def test_a_tie_passes_and_a_part_is_rounded_up_within_each_group():
    groups = np.array(["a"] * 3 + ["b"] * 4)
    assert (
        highest(np.array([1, 2, 2, 9, 8, 7, 6.0]), groups, 0.5).tolist()
        == [False, True, True, True, True] + [False] * 2
    )
    assert highest(np.arange(100.0), np.full(100, ""), 0.07).sum() == 7


def test_a_contrast_takes_out_what_groups_are_worth():
    # Ours are one better in each group, and mostly in the group that is ten worse.
    groups = np.array(["easy"] * 10 + ["hard"] * 10)
    ours = np.array(([True] * 2 + [False] * 8) + ([True] * 8 + [False] * 2))
    accuracy = ours * 1.0 - 10 * (groups == "hard") + np.tile([0.01, -0.01], 10)
    found = contrast(accuracy, ours, ~ours, groups)
    assert found.difference == pytest.approx(1)
    assert found.error < 0.02
    assert contrast(accuracy, ours, ~ours, np.full(20, "")).difference < 0


def test_one_mask_of_either_leaves_nothing_to_say():
    assert contrast(np.array([0.1, 0.9]), np.array([True, False]), np.array([False, True]), np.full(2, "")) is None
    nobody = np.zeros(5, dtype=bool)
    assert contrast(np.arange(5.0), nobody, ~nobody, np.full(5, "")) is None
