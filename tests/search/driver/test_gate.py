"""The gate on spectral scores."""

import math
from fractions import Fraction

import pytest
from fullspectrum.search.driver.gate import Gate
from hypothesis import given
from hypothesis import strategies as st

SCORES = st.lists(st.one_of(st.integers(0, 5).map(float), st.floats(-1e9, 1e9)), min_size=1, max_size=40)


def decisions(gate: Gate, scores: list[float]) -> list[str]:
    return [gate.decide(number, score) for number, score in enumerate(scores)]


def test_the_best_half_of_the_scores_so_far_passes():
    # Places that pass, of each number of scores so far: 1 of 1, 1 of 2, 2 of 3, 2 of 4, 3 of 5, 3 of 6.
    found = decisions(Gate(0.5, 0.0, 0), [1.0, 2.0, 3.0, 0.0, 0.5, 5.0])
    assert found == ["passed", "passed", "passed", "stopped", "stopped", "passed"]


def test_worse_and_worse_scores_are_all_stopped_but_the_first():
    assert decisions(Gate(0.5, 0.0, 0), [5.0, 4.0, 3.0, 2.0]) == ["passed", "stopped", "stopped", "stopped"]


@given(SCORES, st.integers(1, 99))
def test_a_score_passes_among_the_highest_quantile_so_far_rounded_up(scores, percent):
    found = decisions(Gate(percent / 100, 0.0, 0), scores)
    for number, score in enumerate(scores):
        passing = math.ceil(Fraction(percent, 100) * (number + 1))
        better = sum(other > score for other in scores[: number + 1])
        assert found[number] == ("passed" if better < passing else "stopped")


@pytest.mark.parametrize(("quantile", "passing"), [(0.07, 7), (0.14, 14), (0.29, 29), (0.55, 55), (0.28, 28)])
def test_a_quantile_of_a_hundred_is_its_percents(quantile, passing):
    # 0.07 * 100 is 7.000000000000001 in floating point, and no eighth score passes for that.
    higher = [2.0] * passing + [0.0] * (99 - passing)
    gate = Gate(quantile, 0.0, 0)
    decisions(gate, higher)
    assert gate.decide(99, 1.0) == "stopped"
    gate = Gate(quantile, 0.0, 0)
    decisions(gate, [*higher[1:], 0.0])
    assert gate.decide(99, 1.0) == "passed"


@given(st.floats(-1e9, 1e9), st.integers(1, 30), st.floats(0.01, 1))
def test_ties_pass(score, trials, quantile):
    assert set(decisions(Gate(quantile, 0.0, 0), [score] * trials)) == {"passed"}


@given(SCORES, st.integers(0, 100))
def test_quantile_one_passes_all_and_has_no_control_group(scores, seed):
    assert set(decisions(Gate(1.0, 1.0, seed), scores)) == {"passed"}


@given(SCORES, st.integers(0, 100))
def test_asked_again_the_gate_gives_the_same_answer_and_counts_the_score_once(scores, seed):
    once, twice = Gate(0.5, 0.2, seed), Gate(0.5, 0.2, seed)
    for number, score in enumerate(scores):
        first = twice.decide(number, score)
        assert (
            twice.decide(number, score + 1e6)
            == twice.decide(number, score - 1e6)
            == first
            == once.decide(number, score)
        )
    assert once.decisions == twice.decisions == dict(enumerate(decisions(Gate(0.5, 0.2, seed), scores)))


@given(SCORES, SCORES)
def test_each_group_is_judged_as_if_it_were_alone(some, others):
    gate = Gate(0.5, 0.0, 0)
    found = {}
    for index in range(max(len(some), len(others))):
        for offset, scores in ((0, some), (100, others)):
            if index < len(scores):
                found[offset + index] = gate.decide(offset + index, scores[index], str(offset))
    assert [found[index] for index in range(len(some))] == decisions(Gate(0.5, 0.0, 0), some)
    assert [found[100 + index] for index in range(len(others))] == decisions(Gate(0.5, 0.0, 0), others)


def control_group(gate: Gate, scores: dict[int, float]) -> set[int]:
    return {number for number, score in scores.items() if gate.decide(number, score) == "control"}


def test_the_control_group_depends_on_neither_scores_nor_order():
    numbers = range(300)
    rising = control_group(Gate(0.5, 0.3, 7), {number: float(number) for number in numbers})
    falling = control_group(Gate(0.1, 0.3, 7), {number: -float(number) for number in numbers})
    backwards = control_group(Gate(0.5, 0.3, 7), {number: 0.0 for number in reversed(numbers)})
    assert rising == falling == backwards
    assert rising != control_group(Gate(0.5, 0.3, 8), dict.fromkeys(numbers, 0.0))


def test_the_control_group_does_not_depend_on_groups():
    gate = Gate(0.5, 0.3, 7)
    found = {number for number in range(300) if gate.decide(number, 1.0, str(number % 3)) == "control"}
    assert found == control_group(Gate(0.5, 0.3, 7), dict.fromkeys(range(300), 1.0))


@pytest.mark.parametrize("control", [0.05, 0.1, 0.5])
def test_the_control_group_is_as_large_as_asked(control):
    trials = 5000
    group = control_group(Gate(0.5, control, 0), dict.fromkeys(range(trials), 1.0))
    # Five standard deviations of a binomial.
    assert abs(len(group) - control * trials) < 5 * math.sqrt(trials * control * (1 - control))


def test_control_zero_is_nobody_and_one_is_everybody():
    scores = dict.fromkeys(range(200), 1.0)
    assert control_group(Gate(0.5, 0.0, 0), scores) == set()
    assert control_group(Gate(0.5, 1.0, 0), scores) == set(scores)


def test_scores_of_the_control_group_count_among_the_scores_so_far():
    gate = Gate(0.5, 0.3, 7)
    group = sorted(control_group(Gate(0.5, 0.3, 7), dict.fromkeys(range(40), 0.0)))
    other = next(number for number in range(40) if number not in group)
    for number in group[:4]:
        assert gate.decide(number, 9.0) == "control"
    assert gate.decide(other, 1.0) == "stopped"
