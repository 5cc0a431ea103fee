"""The supervisor: runs the driver of a search in a process of its own, and starts it again where it crashes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from ..console import complain
from .link import FAILED, PROGRESSED, VARIABLE
from .shutdown import lost_interrupt

#: Seconds before the first restart; each further one without progress takes twice as long.
PAUSE = 1.0

#: Signals by which a user ends a search.
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

#: Exit status of a driver that found a mistake of the user's.
_MISTAKE = 2

#: Exit statuses by which a driver ends on purpose: done, a user's mistake, Ctrl-C, SIGTERM; 1 where it reported so.
_ENDS = (0, _MISTAKE, *(128 + number for number in _INTERRUPTS))


def supervise(command: Sequence[str], again: str) -> int:
    """Run `command` until it ends on purpose, and return its exit status.

    Where it crashes (a signal, or any other status; after a crash a mistake counts too) it is started again with
    --resume, as many times in a row without a trial's end as the driver allows over its link (`restarts N`); after the
    last one the status is 1. SIGINT and SIGTERM are passed on to it. Neither torch nor Ray is loaded. `again` is the
    command by which the user can go on.
    """
    return _Supervisor(list(command), again).run()


class _Supervisor:
    def __init__(self, command: list[str], again: str):
        self._command = command
        self._again = again
        self._driver: int | None = None
        self._received: list[int] = []
        self._to_pass_on: list[int] = []

    def run(self) -> int:
        crashes = restarts = 0
        with self._handlers():
            while True:
                code, words = self._drive()
                # What ran before has no mistake of the user's: the head of a lost cluster may still be away.
                on_purpose = code in _ENDS and not (code == _MISTAKE and crashes and not self._received)
                if on_purpose or (code == 1 and (FAILED in words or self._received)):
                    return code
                _restore_screen()
                if -code in _INTERRUPTS:
                    # Sent to a driver that could not handle it yet.
                    self._received.append(-code)
                if not self._received:
                    crashes = 1 if PROGRESSED in words else crashes + 1
                    restarts = _restarts(words, restarts)
                    if crashes > restarts:
                        complain(f"the driver died ({_cause(code)}); go on with: {self._again}")
                        return 1
                    complain(f"the driver died ({_cause(code)}); starting it again, {crashes} of {restarts}")
                    self._wait(PAUSE * 2 ** (crashes - 1))
                if self._received:
                    complain(f"interrupted; go on with: {self._again}")
                    return 128 + self._received[0]
                if "--resume" not in self._command:
                    self._command.append("--resume")

    def _drive(self) -> tuple[int, list[str]]:
        """Run the driver once; return its exit status (-N after signal N) and the words that it sent."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                # A group of its own: a terminal's Ctrl-C reaches the driver through the supervisor alone, and Ray's
                # processes not at all.
                driver = subprocess.Popen(
                    self._command,
                    env={**os.environ, VARIABLE: str(theirs.fileno())},
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                )
            self._driver = driver.pid
            while self._to_pass_on:
                os.kill(driver.pid, self._to_pass_on.pop(0))
            # Not reaped yet: as long as the group has a leader, its number is nobody else's.
            os.waitid(os.P_PID, driver.pid, os.WEXITED | os.WNOWAIT)
            self._driver = None
            # Some of Ray's processes notice only after a minute that their driver has died.
            os.killpg(driver.pid, signal.SIGKILL)
            return driver.wait(), _received_words(ours)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)
        if self._driver is None:
            self._to_pass_on.append(number)
        else:
            os.kill(self._driver, number)

    def _pause(self, number: int, frame: FrameType | None) -> None:
        """Stop the driver too on Ctrl-Z, until the shell goes on with the supervisor."""
        driver = self._driver
        if driver is not None:
            os.kill(driver, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        if driver is not None:
            os.kill(driver, signal.SIGCONT)

    @contextlib.contextmanager
    def _handlers(self) -> Iterator[None]:
        wanted = dict.fromkeys(_INTERRUPTS, self._pass_on) | {signal.SIGTSTP: self._pause}
        # What is ignored, as Ctrl-C is in the background of a shell, stays so.
        wanted = {number: handle for number, handle in wanted.items() if signal.getsignal(number) is not signal.SIG_IGN}
        if (lost := lost_interrupt()) is not None:
            self._pass_on(lost, None)
        former = {number: signal.signal(number, handle) for number, handle in wanted.items()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._received and time.monotonic() < end:
            time.sleep(0.05)


def _cause(code: int) -> str:
    names = {-known: known.name for known in signal.Signals}
    return names.get(code, f"exit status {code}")


def _restarts(words: list[str], before: int) -> int:
    """Return how many restarts a driver allowed last; as many as `before` where it died before it could say."""
    return int(([f"restarts {before}"] + [word for word in words if word.startswith("restarts ")])[-1].split()[1])


def _received_words(connection: socket.socket) -> list[str]:
    """Return the words that a driver which has ended sent."""
    connection.setblocking(False)
    # A few short words at most; where none came and another process holds the driver's end, none will come.
    try:
        return connection.recv(4096).decode().split("\n")
    except BlockingIOError:
        return []


def _restore_screen() -> None:
    """Show the cursor that a live display had hidden, below what is left of the display."""
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[?25h\n")
        sys.stdout.flush()
