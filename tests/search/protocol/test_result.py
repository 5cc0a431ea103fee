"""The result of a trial, and what it cost."""

import pytest
from fullspectrum.search.driver.opentrial import reports_of
from fullspectrum.search.protocol.label import DENSE
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Ended, Measured, Scored
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import Entry, TrainingEnd
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.store.records import TrialRecord

SCORED = Scored({"spectral/objective": 3.5, "cost/iterations": 540}, "d")
WARM, LAST = Measured(50, 0.5, 1.0), Measured(100, 0.75, 0.5)


def test_a_trial_that_did_not_train_cost_what_its_mask_did():
    assert TrialResult().after(SCORED).cost == 540
    assert TrialResult().after(Ended(Outcome.REJECTED)).cost is None


def test_the_cost_grows_by_the_iterations_of_the_warm_up_and_no_more():
    result = TrialResult().after(SCORED)
    for report in (WARM, LAST, LAST, Ended(Outcome.FINISHED, 100)):
        result = result.after(report)
        assert result.cost == 540 + report.iteration
    assert result.after(Ended(Outcome.DIVERGED, 123)).cost == 663


def test_the_cost_comes_back_with_the_result_and_is_unknown_of_former_versions():
    result = TrialResult().after(SCORED).after(LAST)
    assert TrialResult.from_dict(result.to_dict()) == result
    former = TrialResult().after(Scored({"spectral/objective": 3.5}, "d")).after(LAST)
    assert former.cost is None and "cost/iterations" not in former.to_dict()


def test_the_reports_of_a_trial_that_ended_hold_the_cost_before_its_warm_up():
    # Its first result was decided on at once, and kept with its end alone.
    result = TrialResult().after(SCORED).after(LAST)
    record = TrialRecord(Proposal(0, 1, 7, MaskDistribution("imp", 0.0, 0, {})), Outcome.FINISHED, result)
    assert reports_of(record) == [SCORED, LAST]


@pytest.mark.parametrize(("iteration", "cost"), [(680, 1220), (7, 547), (None, None)])
def test_a_full_training_cost_what_was_before_it_and_itself(iteration, cost):
    assert Entry(DENSE, None, cost=540).cost_of(TrainingEnd(Outcome.FINISHED, iteration)) == cost


def test_what_the_network_costs_under_the_mask_comes_back_with_the_result():
    metrics = {"cost/flops": 7.0, "cost/bytes_csr": 9.0}
    result = TrialResult().after(Scored({"spectral/objective": 3.5, "cost/iterations": 540, **metrics}, "d"))
    assert result.costs == {"flops": 7.0, "bytes_csr": 9.0}
    assert TrialResult.from_dict(result.after(LAST).to_dict()).costs == result.costs
    # The objective is the only score among them.
    assert result.scores == {"objective": 3.5}
