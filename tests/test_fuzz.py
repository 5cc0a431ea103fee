"""Strange networks, data sets, image folders, study files, environments and paths; `tests.benchmarks.fuzz` has more."""

import pytest

from .fuzz.combinations import Combination, combinations

#: As many as take half a minute on one core.
COUNT = 90


@pytest.mark.parametrize("combination", combinations(COUNT), ids=lambda each: each.kind)
def test_whatever_a_user_puts_together_ends_well_or_in_one_line(combination: Combination):
    ends, fault = combination.run()
    assert fault is None, f"{combination}\n{ends[-1].stderr}"


def test_the_combinations_are_a_function_of_the_seed():
    assert combinations(30, 7) == combinations(30, 7) != combinations(30, 8)
