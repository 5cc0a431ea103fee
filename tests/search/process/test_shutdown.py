"""Ctrl-C and SIGTERM end a search in good order, and are never lost."""

import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import pytest
from fullspectrum.search.process.shutdown import lost_interrupt, remembered_interrupts, shutdown_on_signals
from pydantic import BaseModel, Discriminator, Tag

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def pythons_own_handlers():
    """Whatever this process inherited: in the background of a shell, Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def marker(tmp_path) -> Path:
    return tmp_path / "leave"


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_the_first_signal_asks_and_raises_nothing(marker, number, reason):
    with shutdown_on_signals(marker, 60) as shutdown:
        assert not (shutdown.requested or shutdown.overdue or marker.exists())
        assert (shutdown.reason, shutdown.signal) == (None, None)
        signal.raise_signal(number)
        assert shutdown.requested
        assert marker.exists()
        assert (shutdown.reason, shutdown.signal) == (reason, number)
        assert not shutdown.overdue


def test_an_interrupt_that_a_library_passed_over_is_made_up_for(marker):
    class Fixed(BaseModel):
        number: Annotated[Annotated[int, Tag("fixed")] | Annotated[str, Tag("other")], Discriminator(lambda _: form())]

    def form() -> str:
        return "fixed"

    setting = Fixed(number=64)
    with remembered_interrupts():
        assert lost_interrupt() is None

        def form() -> str:
            signal.raise_signal(signal.SIGINT)
            return "fixed"

        # As pydantic does while settings are written.
        with pytest.warns(UserWarning, match="serializer"):
            setting.model_dump()
        assert lost_interrupt() == signal.SIGINT
        with shutdown_on_signals(marker, 60) as shutdown:
            assert (shutdown.requested, shutdown.signal) == (True, signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_nobody_passed_over_is_raised_as_ever():
    with pytest.raises(KeyboardInterrupt) as raised, remembered_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert raised.value.args == (signal.SIGINT,)


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_is_raised_at_once(marker, second):
    with pytest.raises(KeyboardInterrupt) as raised, shutdown_on_signals(marker, 60) as shutdown:
        signal.raise_signal(signal.SIGINT)
        assert 0 < shutdown.seconds_left <= 60
        signal.raise_signal(second)
    assert raised.value.args == (second,)
    assert shutdown.overdue
    assert shutdown.seconds_left == 0
    assert shutdown.signal == signal.SIGINT


def test_sigterm_to_the_driver_and_through_its_supervisor_is_one(marker, monkeypatch):
    with shutdown_on_signals(marker, 60) as shutdown:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert shutdown.requested and not shutdown.overdue
        monkeypatch.setattr("fullspectrum.search.process.shutdown._AT_ONCE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


class Swallows:
    """Its destructor is interrupted: Python prints what is raised there and goes on."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signals_that_a_destructor_swallows_are_noted(marker):
    with shutdown_on_signals(marker, 60) as shutdown:
        Swallows()
        assert shutdown.requested
        assert not shutdown.overdue
        Swallows()
        assert shutdown.overdue


def test_handlers_are_put_back_and_the_marker_is_gone_afterwards(marker):
    before = [signal.getsignal(number) for number in SIGNALS]
    with shutdown_on_signals(marker, 60) as shutdown:
        shutdown.request("for a test")
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not marker.exists()


def test_a_marker_that_a_driver_left_behind_asks_nobody(marker):
    marker.touch()
    with shutdown_on_signals(marker, 60) as shutdown:
        assert not marker.exists()
        assert not shutdown.requested


def test_a_search_asks_by_itself_and_the_first_reason_stays(marker):
    with shutdown_on_signals(marker, 60) as shutdown:
        shutdown.request("12 of 20 trials failed")
        shutdown.request("the disk is full")
        assert marker.exists()
        assert (shutdown.reason, shutdown.signal) == ("12 of 20 trials failed", None)
        # Of signals it is the first: nobody is impatient yet.
        signal.raise_signal(signal.SIGTERM)
        assert (shutdown.reason, shutdown.signal) == ("12 of 20 trials failed", signal.SIGTERM)
        assert not shutdown.overdue


def test_it_is_overdue_once_the_grace_period_is_over(marker):
    with shutdown_on_signals(marker, 0.2) as shutdown:
        begun = time.monotonic()
        shutdown.request("for a test")
        while not shutdown.overdue:
            time.sleep(0.01)
        assert time.monotonic() - begun > 0.2


def test_a_marker_that_cannot_be_written_does_not_matter(tmp_path):
    with shutdown_on_signals(tmp_path / "nosuch" / "leave", 60) as shutdown:
        signal.raise_signal(signal.SIGINT)
        assert shutdown.requested


def test_an_ignored_ctrl_c_stays_ignored_and_sigterm_asks(marker):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with shutdown_on_signals(marker, 60) as shutdown:
        signal.raise_signal(signal.SIGINT)
        assert not shutdown.requested
        signal.raise_signal(signal.SIGTERM)
        assert shutdown.requested
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_nothing_is_installed(marker):
    before, found = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with shutdown_on_signals(marker, 60) as shutdown:
            shutdown.request("for a test")
            found.extend([signal.getsignal(signal.SIGINT), shutdown.requested])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before, True]
