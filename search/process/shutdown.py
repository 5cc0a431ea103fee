"""Ctrl-C and SIGTERM that end a search in good order: what runs saves a checkpoint and leaves."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from ..files import storage_failure
from ..remote.mirror import Marker

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

#: Seconds in which a second SIGTERM is the first one, by another way.
_AT_ONCE = 1.0


class _Remembering:
    """A handler of a signal that raises KeyboardInterrupt, and knows afterwards that it did."""

    def __init__(self) -> None:
        self.taken: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.taken = number
        raise KeyboardInterrupt(number)


@contextlib.contextmanager
def remembered_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, as it does without this, and remember it for `lost_interrupt`.

    An exception that meets a callback of a library, a validator's or a destructor, is passed over there.
    """
    replaced = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if replaced:
        signal.signal(signal.SIGINT, _Remembering())
    try:
        yield
    finally:
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def lost_interrupt() -> int | None:
    """Return the signal whose KeyboardInterrupt got lost within `remembered_interrupts`; None where none did."""
    handler = signal.getsignal(signal.SIGINT)
    return handler.taken if isinstance(handler, _Remembering) else None


class Shutdown:
    """A request that the search end: whether and why it was made, and the grace period from then on.

    It raises nothing: what waits looks at `requested`, as an exception that meets a destructor or a callback of
    Ray is printed and lost. Workers look for the `marker`.
    """

    def __init__(self, marker: Marker, grace: float):
        self._marker = marker
        self._grace = grace
        self._since: float | None = None
        self._hurry = False
        self._last_signal = -math.inf
        self.reason: str | None = None
        """Why the end was requested, by whoever did first; None while nobody has."""
        self.signal: int | None = None
        """The first signal that requested it, if one did."""

    @property
    def requested(self) -> bool:
        """Whether the search is to end now."""
        return self._since is not None

    @property
    def overdue(self) -> bool:
        """Whether the grace period (seconds) is over, or a second signal came: what still runs is left behind."""
        return self._hurry or (self._since is not None and time.monotonic() - self._since > self._grace)

    @property
    def seconds_left(self) -> float:
        """Seconds of the grace period that are left; infinite while nobody has requested the end."""
        if self._since is None:
            return math.inf
        return 0.0 if self._hurry else max(0.0, self._grace - (time.monotonic() - self._since))

    def request(self, reason: str) -> None:
        """Request the end; from the second time on this changes nothing."""
        if self._since is not None:
            return
        self.reason = reason
        self._since = time.monotonic()
        # Where the marker cannot be written the workers do not see it, and are left behind after the grace period.
        with contextlib.suppress(OSError):
            self._marker.touch()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first requests the end; a second ends at once, also what never looks at `requested`.

        SIGTERM that comes twice at once was sent to the supervisor, which passes it on, and to the driver as well.
        """
        now = time.monotonic()
        if number == self.signal == signal.SIGTERM and now - self._last_signal < _AT_ONCE:
            return
        self._last_signal = now
        if self.signal is None:
            self.signal = number
            self.request(_NAMES[signal.Signals(number)])
            return
        self._hurry = True
        raise KeyboardInterrupt(number)


@contextlib.contextmanager
def shutdown_on_signals(marker: Marker, grace: float) -> Iterator[Shutdown]:
    """Yield a Shutdown that the first SIGINT or SIGTERM requests; the second signal raises KeyboardInterrupt at once.

    `marker` is removed on entering and on leaving, and the former handlers are put back: to be entered after Ray is
    connected, which installs handlers of its own. `grace` is in seconds. Outside the main thread no handler is set. An
    interrupt that got lost before requests it too.
    """
    shutdown = Shutdown(marker, grace)
    with contextlib.suppress(OSError):
        marker.unlink(missing_ok=True)
    former, lost = {}, lost_interrupt()
    if threading.current_thread() is threading.main_thread():
        # What runs in the background of a shell ignores Ctrl-C.
        numbers = [number for number in _NAMES if signal.getsignal(number) is not signal.SIG_IGN]
        former = {number: signal.signal(number, shutdown._on_signal) for number in numbers}
    try:
        if lost is not None:
            shutdown._on_signal(lost, None)
        yield shutdown
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            marker.unlink(missing_ok=True)


@contextlib.contextmanager
def stop_on_storage_failure(shutdown: Shutdown) -> Iterator[None]:
    """Request a shutdown where a file system cannot be written to; the study is resumed when that is mended."""
    try:
        yield
    except Exception as error:
        if not (reason := storage_failure(error)):
            raise
        shutdown.request(reason)
