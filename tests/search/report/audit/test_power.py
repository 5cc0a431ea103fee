"""What so many trainings can show: the formula against simulated tables, and published values."""

import numpy as np
import pytest
from fullspectrum.search.report.audit.power import power
from scipy.stats import binom

TABLES = 4000


def measured(trainings: int, rho: float) -> np.ndarray:
    """Spearman correlations of simulated tables whose true one is `rho`."""
    generator = np.random.default_rng(trainings)
    # Of normal numbers with correlation 2 sin(πρ/6) it is ρ (Pearson, 1907).
    linear = 2 * np.sin(np.pi * rho / 6)
    one, noise = generator.normal(size=(2, TABLES, trainings))
    other = linear * one + np.sqrt(1 - linear**2) * noise
    ranks = [np.argsort(np.argsort(column)) - (trainings - 1) / 2 for column in (one, other)]
    return (ranks[0] * ranks[1]).sum(1) / (ranks[0] ** 2).sum(1)


@pytest.mark.parametrize("trainings", [10, 14, 30, 100])
def test_chance_is_told_from_0_once_in_twenty(trainings):
    found = int((abs(measured(trainings, 0)) > power(trainings).told).sum())
    # The formula approximates: with a true rate of 0.04 to 0.06 the count is within these but once in a thousand.
    assert binom.ppf(0.0005, TABLES, 0.04) <= found <= binom.ppf(0.9995, TABLES, 0.06)


@pytest.mark.parametrize("trainings", [10, 14, 30, 100])
def test_a_true_correlation_is_told_from_0_four_times_in_five(trainings):
    expected = power(trainings)
    found = int((measured(trainings, expected.found) > expected.told).sum())
    assert binom.ppf(0.0005, TABLES, 0.76) <= found <= binom.ppf(0.9995, TABLES, 0.84)


# Critical values of Spearman's correlation, two-sided 5 % (Ramsey, J. Educational Statistics 14, 1989).
@pytest.mark.parametrize(("trainings", "critical"), [(8, 0.738), (10, 0.648), (14, 0.538), (20, 0.447), (30, 0.362)])
def test_the_smallest_told_is_the_tabulated_critical_value(trainings, critical):
    assert power(trainings).told == pytest.approx(critical, abs=0.025)


def test_groups_and_choices_cost_power_and_3_trainings_tell_nothing():
    assert power(30, groups=5).told == pytest.approx(power(26).told)
    assert power(30, choices=10).told > power(30).told
    assert power(3).told == power(2).found == 1
