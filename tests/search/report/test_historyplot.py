"""The picture of a search's history: the best so far, by trials and by steps that count once."""

from dataclasses import replace

import pytest
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.report.historyplot import plot_history, search_costs
from fullspectrum.search.sampling.distribution import MaskDistribution

from ..conftest import tiny_study
from ..records import trial


def of_source(made, source: str, batch: int = 0, pretraining: int = 0):
    distribution = MaskDistribution(source, 1.0, batch, {}, pretraining=pretraining)
    return replace(made, proposal=replace(made.proposal, distribution=distribution))


TRIALS = [
    of_source(trial(0, 1.0, 100, 0.5, cost=700), "imp", pretraining=100),
    # The same scores: 500 steps of the source and 100 of pretraining are paid.
    of_source(trial(1, 3.0, 50, 0.4, Outcome.STOPPED_EARLY, cost=650), "imp", pretraining=100),
    of_source(trial(2, 2.0, 0, None, Outcome.STOPPED_BY_GATE, cost=500), "imp", batch=1),
    of_source(trial(3, 0.5, 100, 0.6, cost=300), "snip", pretraining=200),
    # Rejected, or of a ledger of an earlier version.
    of_source(trial(4, 0.1), "snip"),
]


def test_pretraining_and_the_training_of_a_source_count_once():
    assert search_costs(TRIALS) == [700, 750, 1250, 1450, 1450]


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws trials of a study; returns the panels."""

    def draw(*settings: str):
        plot_history(tiny_study(*settings), TRIALS, "a title", tmp_path / "history.png")
        return figures[-1].axes

    return draw


def line(panel, label: str) -> list[tuple[float, float]]:
    found = [each.get_xydata().tolist() for each in panel.lines if each.get_label() == label]
    return [tuple(point) for points in found for point in points]


def test_the_best_so_far_never_falls_and_goes_on_to_the_last_trial(drawn):
    by_trials, by_cost = drawn()
    assert line(by_trials, "best so far") == [(0, 0.5), (1, 0.5), (3, 0.6), (4, 0.6)]
    assert line(by_cost, "best so far") == [(700, 0.5), (750, 0.5), (1450, 0.6), (1450, 0.6)]
    assert sorted(line(by_trials, "imp")) == [(0, 0.5), (1, 0.4)]
    assert line(by_trials, "snip") == [(3, 0.6)]


def test_a_study_without_warm_ups_has_a_history_of_its_score(drawn):
    (panel,) = drawn("warmup.iterations=0")
    assert line(panel, "best so far") == [(0, 1.0), (1, 3.0), (2, 3.0), (3, 3.0), (4, 3.0), (4, 3.0)]
