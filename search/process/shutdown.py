"""Ctrl-C and SIGTERM that end a search in good order: what runs saves a checkpoint and leaves."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

#: Seconds in which a second SIGTERM is the first one, by another way.
_AT_ONCE = 1.0


class Drain:
    """Whether a search is asked to end, by whom, and whether what still runs has had its time.

    Nothing is raised when it is asked for: what waits looks at `asked`, as an exception that meets a destructor or a
    callback of Ray is printed and gone. Workers look for the file `marker`.
    """

    def __init__(self, marker: Path, grace: float):
        self._marker = marker
        self._grace = grace
        self._since: float | None = None
        self._hurry = False
        self._heeded = -math.inf
        self.reason: str | None = None
        """Why it was asked for, by whoever asked first; None while nobody has."""
        self.signal: int | None = None
        """The first signal that asked for it, if one did."""

    @property
    def asked(self) -> bool:
        """Whether the search is to end now."""
        return self._since is not None

    @property
    def overdue(self) -> bool:
        """Whether the grace period (seconds) is over, or a second signal came: what still runs is left behind."""
        return self._hurry or (self._since is not None and time.monotonic() - self._since > self._grace)

    @property
    def left(self) -> float:
        """Seconds of the grace period that are left; infinite while nobody has asked."""
        if self._since is None:
            return math.inf
        return 0.0 if self._hurry else max(0.0, self._grace - (time.monotonic() - self._since))

    def ask(self, reason: str) -> None:
        """Asks for the end; from the second time on it changes nothing."""
        if self._since is not None:
            return
        self.reason = reason
        self._since = time.monotonic()
        # Where the marker cannot be written the workers do not hear of it, and are left behind after the grace period.
        with contextlib.suppress(OSError):
            self._marker.touch()

    def _heed(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: the first asks; a second is impatience, also with what looks at nothing.

        SIGTERM that comes twice at once was sent to the supervisor, who passes it on, and to the driver as well.
        """
        now = time.monotonic()
        if number == self.signal == signal.SIGTERM and now - self._heeded < _AT_ONCE:
            return
        self._heeded = now
        if self.signal is None:
            self.signal = number
            self.ask(_NAMES[number])
            return
        self._hurry = True
        raise KeyboardInterrupt(number)


@contextlib.contextmanager
def drained(marker: Path, grace: float) -> Iterator[Drain]:
    """Yields a Drain that SIGINT and SIGTERM ask, once; the second signal raises KeyboardInterrupt, at once.

    `marker` is removed on entering and on leaving, and the former handlers are put back: to be entered after Ray is
    connected, which installs handlers of its own. `grace` is in seconds. Outside the main thread signals are let alone.
    """
    drain = Drain(marker, grace)
    with contextlib.suppress(OSError):
        marker.unlink(missing_ok=True)
    former = {}
    if threading.current_thread() is threading.main_thread():
        # What runs in the background of a shell ignores Ctrl-C.
        numbers = [number for number in _NAMES if signal.getsignal(number) is not signal.SIG_IGN]
        former = {number: signal.signal(number, drain._heed) for number in numbers}
    try:
        yield drain
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            marker.unlink(missing_ok=True)
