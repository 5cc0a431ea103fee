"""What each sparsity of a family came to over its replicates."""

import io

import pytest
from fullspectrum.search.report.family import levels
from fullspectrum.search.report.leaderboard import leaderboard
from fullspectrum.search.screen.tables import family_table
from rich.console import Console

from ..conftest import tiny_study
from ..records import FakeLedger, final, trial

IMAGES = 10_000


def member(sparsity: float, seed: int, winner: float | None, random: float, equal: float | None = None):
    """A study with its leaderboard: its winner is trial 1."""
    finals = [final("dense", 0.9, 0.95), final("erk-random", 0.5, random)]
    finals += [final("trial 1", 0.9, winner, cost=300), final("trial 0", 0.6, 0.99)] if winner is not None else []
    finals += [final("erk-random-equal-cost", 0.5, equal)] if equal is not None else []
    trials = [trial(0, 1.0, 4, 0.6), trial(1, 1.0, 4, 0.7)]
    return tiny_study(f"sparsity={sparsity}", f"seed={seed}"), leaderboard(FakeLedger(trials, finals))


def test_replicates_are_compared_in_pairs_with_the_random_mask_of_equal_cost():
    members = [member(0.9, 0, 0.80, 0.1, equal=0.70), member(0.9, 1, 0.84, 0.72), member(0.9, 2, 0.88, 0.80)]
    (level,) = levels(members, IMAGES)
    # t of 2 degrees of freedom, 95 %: 4.302653. Standard deviation of 0.80, 0.84, 0.88: 0.04.
    assert level.winner.value == pytest.approx(0.84)
    assert level.winner.error == pytest.approx(4.302653 * 0.04 / 3**0.5, rel=1e-6)
    assert level.random.value == pytest.approx((0.70 + 0.72 + 0.80) / 3)
    assert level.dense.error == pytest.approx(0)
    # Differences 0.10, 0.12, 0.08 deviate by 0.02; two proportions of 10,000 add an error of their own.
    assert level.beside.difference == pytest.approx(0.10)
    assert level.beside.error == pytest.approx(((4.302653 * 0.02 / 3**0.5) ** 2 + 0.01118**2) ** 0.5, rel=1e-3)
    assert "0.9 the best mask (mean of 3 replicates) beats an ERK-random one at equal cost: 0.84" in level.sentence


def test_each_sparsity_is_a_level_and_studies_without_a_trained_mask_are_left_out():
    members = [
        member(0.98, 0, 0.5, 0.6),
        member(0.9, 0, 0.8, 0.8),
        member(0.9, 1, None, 0.3),
        member(0.5, 0, None, 0.9),
    ]
    found = levels(members, 50)
    assert [(level.sparsity, len(level.winners)) for level in found] == [(0.9, 1), (0.98, 1)]
    assert [level.winner.error for level in found] == [0, 0]
    assert found[1].sentence.startswith(
        "At sparsity 0.98 the best mask is level with an ERK-random one at equal cost: 0.5"
    )


def test_the_table_shows_means_with_intervals_where_there_are_several():
    found = levels([member(0.9, 0, 0.80, 0.7), member(0.9, 1, 0.84, 0.7), member(0.98, 0, 0.5, 0.6)], IMAGES)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(family_table(found))
    lines = console.export_text().splitlines()
    several, single = (next(line for line in lines if f" {sparsity} " in line) for sparsity in ("0.9", "0.98"))
    assert "0.8200 ± 0.2541" in several and "0.7000 ± 0.0000" in several and "snip" in several and "300" in several
    assert "0.5000 │" in single and "-0.1000 ± 0.0137" in single
