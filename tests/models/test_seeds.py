"""Seeds are derived from the study's seed by name, and by nothing else."""

import itertools

import pytest
from fullspectrum.models.seeds import derive
from hypothesis import given
from hypothesis import strategies as st

LABELS = st.one_of(st.integers(), st.text(max_size=20))


@pytest.mark.parametrize(
    ("arguments", "seed"),
    [
        ((0,), 3456079177858693020),
        ((0, "trial", 1), 7450085190225542835),
        ((1, "trial", 1), 6732337342650273833),
        ((0, "draw", "fc.weight"), 1911821975981224200),
    ],
)
def test_seeds_never_change_because_old_candidates_are_rebuilt_from_them(arguments, seed):
    assert derive(*arguments) == seed


@given(st.integers(0, 2**63 - 1), st.lists(LABELS, max_size=4))
def test_a_seed_is_an_integer_that_every_generator_takes(seed, labels):
    derived = derive(seed, *labels)
    assert type(derived) is int
    assert 0 <= derived < 2**63


def test_different_seeds_and_labels_give_different_seeds():
    names = [(seed, label, number) for seed, label, number in itertools.product(range(5), ("trial", "draw"), range(50))]
    assert len({derive(*name) for name in names}) == len(names)


def test_labels_are_not_run_together():
    assert len({derive(1, "2", "3"), derive(12, "3"), derive(1, "23"), derive(1, 2, 3, "")}) == 4


def test_labels_count_in_their_order():
    assert derive(0, "a", "b") != derive(0, "b", "a")
