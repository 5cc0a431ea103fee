"""The link between the driver of a search and its supervisor."""

import contextlib
import os
import signal
import socket
import threading
import time
from typing import Self

#: Environment variable that hands the driver its end: the number of an open socket.
VARIABLE = "FULLSPECTRUM_SUPERVISOR"

#: Seconds that an orphaned driver, whose supervisor has died, has to end in good order.
ORPHAN_SECONDS = 5.0

#: What a driver sends once a trial has ended, and before it exits with 1 because the study has failed.
PROGRESSED, FAILED = "progressed", "failed"


class SupervisorLink:
    """The driver's end: reports to the supervisor, and ends the driver soon after the supervisor has died.

    Where there is no supervisor (`connection` is None) it does nothing.
    """

    def __init__(self, connection: socket.socket | None):
        self._connection = connection
        self._sent: set[str] = set()
        if connection is not None:
            # A write to a terminal whose foreground is the supervisor would stop the driver where `stty tostop` is set.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            threading.Thread(target=self._watch, args=(connection,), name="supervisor link", daemon=True).start()

    @classmethod
    def from_environment(cls) -> Self:
        """Take the link that a supervisor handed this process, if one did; to be called once, in the main thread."""
        handed = os.environ.pop(VARIABLE, None)
        if handed is None:
            return cls(None)
        # Neither Ray's processes nor their environment are to hold it.
        os.set_inheritable(int(handed), False)
        return cls(socket.socket(fileno=int(handed)))

    @property
    def connected(self) -> bool:
        """Whether this process is the driver of a supervisor."""
        return self._connection is not None

    def allow_restarts(self, times: int) -> None:
        """Set how many times in a row the supervisor may start a driver of the study again."""
        self._send(f"restarts {times}")

    def report_progress(self) -> None:
        """Report that this driver has brought a trial to its end; costs nothing from the second time on."""
        self._send(PROGRESSED)

    def report_failure(self) -> None:
        """Report that the study has failed, so that exit status 1 is no crash."""
        self._send(FAILED)

    def _send(self, word: str) -> None:
        """Send `word` to the supervisor; the same word once only."""
        if self._connection is None or word in self._sent:
            return
        self._sent.add(word)
        # Where the supervisor has died the other thread ends this process.
        with contextlib.suppress(OSError):
            self._connection.sendall(f"{word}\n".encode())

    def _watch(self, connection: socket.socket) -> None:
        """Wait until the supervisor dies, then end this process."""
        # The supervisor sends nothing: the connection ends, or is reset where it left words unread.
        with contextlib.suppress(OSError):
            connection.recv(1)
        # SIGTERM asks the search to end in good order; before the search handles it, it ends the process.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(128 + signal.SIGTERM)
