"""The line between the driver of a search and its supervisor."""

import contextlib
import functools
import os
import signal
import socket
import threading
import time

#: Environment variable that hands the driver its end: the number of an open socket.
VARIABLE = "FULLSPECTRUM_LIFELINE"

#: Seconds that a driver has to leave when its supervisor has died.
FAREWELL = 5.0

#: What a driver says once a trial has ended, and before it exits with 1 because the study has failed.
PROGRESSED, FAILED = "progressed", "failed"


class Lifeline:
    """The driver's end: tells the supervisor how things go, and ends the driver soon after the supervisor has died.

    Where there is no supervisor (`line` is None) it does nothing.
    """

    def __init__(self, line: socket.socket | None):
        self._line = line
        self._said: set[str] = set()
        if line is not None:
            # A write to a terminal whose foreground is the supervisor would stop the driver where `stty tostop` is set.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            threading.Thread(target=self._mourn, name="lifeline", daemon=True).start()

    @property
    def held(self) -> bool:
        """Whether this process is the driver of a supervisor."""
        return self._line is not None

    def say(self, word: str) -> None:
        """Tells the supervisor a word; the same word once only."""
        if self._line is None or word in self._said:
            return
        self._said.add(word)
        # Where it has died the other thread knows too.
        with contextlib.suppress(OSError):
            self._line.sendall(f"{word}\n".encode())

    def restarts(self, times: int) -> None:
        """Tells how many times in a row a driver of the study may be started again."""
        self.say(f"restarts {times}")

    def progressed(self) -> None:
        """Tells that this driver has brought a trial to its end; costs nothing from the second time on."""
        self.say(PROGRESSED)

    def _mourn(self) -> None:
        # Nothing is ever sent this way: the line ends, or is reset where there are words that were never heard.
        with contextlib.suppress(OSError):
            self._line.recv(1)
        # Asks the search to end in good order; before that is prepared for, it ends the process.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(FAREWELL)
        os._exit(128 + signal.SIGTERM)


@functools.cache
def lifeline() -> Lifeline:
    """This process's line to its supervisor; to be called first in the main thread."""
    handed = os.environ.pop(VARIABLE, None)
    if handed is None:
        return Lifeline(None)
    # Neither Ray's processes nor their environment are to hold it.
    os.set_inheritable(int(handed), False)
    return Lifeline(socket.socket(fileno=int(handed)))
