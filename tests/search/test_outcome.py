"""How the end of a trial is told."""

import pytest
from fullspectrum.search.outcome import Outcome, outcome_of


def test_outcomes_are_written_as_records_promise():
    assert [str(outcome) for outcome in Outcome] == [
        "finished",
        "stopped-by-gate",
        "stopped-early",
        "diverged",
        "rejected",
        "failed",
    ]


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("gate", [None, "passed", "control", "stopped"])
def test_a_trial_that_ends_by_itself_says_how(outcome, gate):
    assert outcome_of({"outcome": str(outcome), "training/iterations": 3}, gate, failed=False) is outcome


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        ("stopped", Outcome.STOPPED_BY_GATE),
        ("passed", Outcome.STOPPED_EARLY),
        ("control", Outcome.STOPPED_EARLY),
    ],
)
def test_one_that_does_not_was_stopped_by_the_gate_or_at_a_rung(gate, outcome):
    assert outcome_of({"training/iterations": 0}, gate, failed=False) is outcome


@pytest.mark.parametrize("result", [None, {}, {"training/iterations": 3}, {"outcome": "finished"}])
def test_a_worker_that_died_failed_whatever_it_had_reported(result):
    assert outcome_of(result, "passed", failed=True) is Outcome.FAILED


@pytest.mark.parametrize("result", [None, {}])
def test_a_trial_without_any_result_failed(result):
    assert outcome_of(result, None, failed=False) is Outcome.FAILED


def test_an_unknown_outcome_is_not_believed():
    with pytest.raises(ValueError, match="splendid"):
        outcome_of({"outcome": "splendid"}, None, failed=False)
