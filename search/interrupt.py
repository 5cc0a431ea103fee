"""Ctrl-C that is not lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yields what is to be called now and then: it raises KeyboardInterrupt where Ctrl-C was pressed meanwhile.

    Python raises it too, at once, but where it happens to be in a destructor or a callback of Ray the exception is
    printed and gone.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous is signal.SIG_IGN:
        # Handlers belong to the main thread; and what runs in the background of a shell ignores Ctrl-C.
        yield lambda: None
        return
    pressed = threading.Event()

    def remember(number: int, frame) -> None:
        pressed.set()
        if callable(previous):
            previous(number, frame)

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)
