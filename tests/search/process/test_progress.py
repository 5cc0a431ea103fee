"""Which ends of a search the supervisor counts as progress."""

import socket

import pytest
from fullspectrum.search.process.link import SupervisorLink
from fullspectrum.search.process.progress import ProgressReport
from fullspectrum.search.protocol.events import Listeners
from fullspectrum.search.protocol.label import DENSE
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import Entry, TrainingEnd


@pytest.fixture
def sent(monkeypatch):
    """The listeners of a search, and what its supervisor receives of them."""
    monkeypatch.setattr(SupervisorLink, "_watch", lambda *_: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield Listeners(ProgressReport(SupervisorLink(theirs))), ours


def received(ours: socket.socket) -> bytes:
    try:
        return ours.recv(4096)
    except BlockingIOError:
        return b""


def test_the_first_end_of_a_trial_is_progress(sent):
    listeners, ours = sent
    listeners.trial_ended(0, Outcome.STOPPED_BY_GATE, TrialResult())
    listeners.trial_ended(1, Outcome.FINISHED, TrialResult())
    assert received(ours) == b"progressed\n"


@pytest.mark.parametrize(("outcome", "words"), [(Outcome.DIVERGED, b"progressed\n"), (Outcome.FAILED, b"")])
def test_a_full_training_is_progress_unless_it_failed(sent, outcome, words):
    listeners, ours = sent
    listeners.training_ended(Entry(DENSE, None), TrainingEnd(outcome))
    assert received(ours) == words


def test_what_happened_under_the_drivers_before_is_no_progress(sent):
    listeners, ours = sent
    listeners.of_history.trial_ended(0, Outcome.FINISHED, TrialResult())
    assert received(ours) == b""
