"""Ctrl-C that is not lost."""

import signal
import threading

import pytest
from fullspectrum.search.interrupt import interruptible


class Swallows:
    """Its destructor is interrupted: Python prints the exception and goes on."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_a_destructor_swallows_is_raised_at_the_next_check():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible() as check:
        check()
        Swallows()
        check()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_is_raised_at_once_where_it_can_be():
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGINT)


def test_in_another_thread_nothing_is_installed():
    before, found = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interruptible() as check:
            check()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
