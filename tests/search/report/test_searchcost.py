"""What a whole search ran: every step once, whoever used what came of it."""

from dataclasses import replace

import pytest
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.protocol.label import DENSE, REINITIALISED, Label
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Measured
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import TrainingEnd
from fullspectrum.search.report.searchcost import SearchCost
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.store.records import FinalRecord, TrialRecord
from fullspectrum.search.worker.workbench import Workbench

IMP = MaskDistribution("imp", 0.0, 0, {}, "erk", 150, 9, 60)
SNIP = MaskDistribution("snip", 0.0, 0, {})


@pytest.fixture(scope="module")
def bench() -> Workbench:
    data = load("digits")
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.98,
        "pretraining": {"iterations": {"choices": [0, 150]}},
        "search": {"sources": ["snip", "imp"], "rounds": {"choices": [3, 9]}, "round_iterations": 60},
    }
    return Workbench(parse(settings), build("digits_cnn", data.task, 0), data)


def record(number: int, distribution: MaskDistribution, iterations: int = 0, digest: str | None = "d") -> TrialRecord:
    return TrialRecord(
        Proposal(number, 1, 0, distribution), Outcome.FINISHED, TrialResult({}, digest, iterations=iterations)
    )


def test_the_cost_of_a_mask_is_pretraining_and_the_rounds_of_its_source(bench):
    assert bench.source_cost(SNIP) == 0
    assert bench.source_cost(replace(SNIP, pretraining=150)) == 150
    assert bench.source_cost(IMP) == 150 + 9 * 60
    assert bench.source_cost(replace(IMP, pretraining=0, rounds=3)) == 3 * 60


def test_what_several_trials_use_is_counted_once(bench):
    hotter = replace(IMP, temperature=1.0, theta={"conv1": 0.1})
    trials = [record(n, each, 100) for n, each in enumerate([IMP, hotter, SNIP])]
    assert SearchCost.of(bench, trials, []) == SearchCost(150, 540, 300, 0)


@pytest.mark.parametrize("other", [{"batch_seed": 1}, {"pretraining": 0}, {"rounds": 3}, {"round_iterations": 20}])
def test_scores_of_another_key_are_computed_for_themselves(bench, other):
    others = replace(IMP, **other)
    cost = SearchCost.of(bench, [record(0, IMP), record(1, others)], [])
    assert cost.sources == bench.source_steps(IMP) + bench.source_steps(others)


def test_a_rejected_trial_has_had_its_scores_and_one_that_failed_before_has_not(bench):
    failed = replace(record(0, IMP, digest=None), outcome=Outcome.FAILED)
    assert SearchCost.of(bench, [failed], []).sources == 0
    assert SearchCost.of(bench, [replace(failed, outcome=Outcome.REJECTED)], []).sources == 540


def test_the_winner_on_other_weights_is_pretrained_once_more(bench):
    end, winner = TrainingEnd(Outcome.FINISHED, 680, 0.9, 0.9), Label.of_trial(0)
    finals = [FinalRecord(winner, end), FinalRecord(DENSE, end), FinalRecord(REINITIALISED, end, of=winner)]
    cost = SearchCost.of(bench, [record(0, IMP, 100)], finals)
    assert cost == SearchCost(300, 540, 100, 3 * 680) and cost.steps == 2980
    assert cost.sentence() == (
        "The search itself ran 2,980 steps: 300 in pretraining, 540 in sources, 100 in warm-ups, "
        "2,040 in full trainings."
    )


def test_steps_that_a_worker_was_ahead_of_the_decision_that_stopped_its_trial_do_not_count(bench):
    stopped = replace(record(0, SNIP), measured={50: Measured(50, 0.5, 1.0), 100: Measured(100, 0.6, 1.0)})
    assert SearchCost.of(bench, [stopped, record(1, SNIP, 70)], []).warmups == 70


def test_a_search_that_ran_nothing_cost_nothing(bench):
    assert SearchCost.of(bench, [], []).steps == 0
