"""How the end of a trial is told."""

from fullspectrum.search.protocol.outcome import Outcome


def test_outcomes_are_written_as_records_promise():
    assert [str(outcome) for outcome in Outcome] == [
        "finished",
        "stopped-by-gate",
        "stopped-early",
        "diverged",
        "rejected",
        "failed",
    ]
