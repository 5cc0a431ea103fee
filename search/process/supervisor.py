"""The supervisor: runs the driver of a search in a process of its own, and starts it again where it crashes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from ..console import complain
from .link import FAILED, PROGRESSED, VARIABLE

#: Seconds before the first restart; each further one without progress takes twice as long.
PAUSE = 1.0

#: Exit statuses by which a driver ends on purpose: done, a user's mistake, Ctrl-C, SIGTERM; 1 where it said so.
_ENDS = (0, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def supervise(command: Sequence[str], again: str) -> int:
    """Runs `command` until it ends on purpose, and returns its exit status.

    Where it crashes (a signal, or any other status) it is started again with --resume, as many times in a row without a
    trial's end as the driver says over its lifeline (`restarts N`); after the last one returns 1. SIGINT and SIGTERM
    are passed on to it. Loads neither torch nor Ray. `again` is the command that the user is to go on with.
    """
    return _Supervisor(list(command), again).run()


class _Supervisor:
    def __init__(self, command: list[str], again: str):
        self._command = command
        self._again = again
        self._driver: int | None = None
        self._asked: list[int] = []
        self._to_pass_on: list[int] = []

    def run(self) -> int:
        crashes = restarts = 0
        with self._signals():
            while True:
                code, said = self._drive()
                status = code if code >= 0 else 128 - code
                if status in _ENDS or (status == 1 and (FAILED in said or self._asked)):
                    return status
                _mend_screen()
                if not self._asked:
                    crashes = 1 if PROGRESSED in said else crashes + 1
                    restarts = _restarts(said, restarts)
                    if crashes > restarts:
                        complain(f"the driver died ({_cause(code)}); go on with: {self._again}")
                        return 1
                    complain(f"the driver died ({_cause(code)}); starting it again, {crashes} of {restarts}")
                    self._wait(PAUSE * 2 ** (crashes - 1))
                if self._asked:
                    complain(f"interrupted; go on with: {self._again}")
                    return 128 + self._asked[0]
                if "--resume" not in self._command:
                    self._command.append("--resume")

    def _drive(self) -> tuple[int, list[str]]:
        """Runs the driver once; returns its exit status (-N after signal N) and what it said."""
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
            return driver.wait(), _heard(ours)

    def _pass_on(self, number: int, frame) -> None:
        self._asked.append(number)
        if self._driver is None:
            self._to_pass_on.append(number)
        else:
            os.kill(self._driver, number)

    def _pause(self, number: int, frame) -> None:
        """Ctrl-Z stops the driver, too, until the shell goes on with the supervisor."""
        driver = self._driver
        if driver is not None:
            os.kill(driver, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        if driver is not None:
            os.kill(driver, signal.SIGCONT)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        wanted = {signal.SIGINT: self._pass_on, signal.SIGTERM: self._pass_on, signal.SIGTSTP: self._pause}
        # What is ignored, as Ctrl-C is in the background of a shell, stays so.
        wanted = {number: heed for number, heed in wanted.items() if signal.getsignal(number) is not signal.SIG_IGN}
        former = {number: signal.signal(number, heed) for number, heed in wanted.items()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._asked and time.monotonic() < end:
            time.sleep(0.05)


def _cause(code: int) -> str:
    names = {-known: known.name for known in signal.Signals}
    return names.get(code, f"exit status {code}")


def _restarts(said: list[str], before: int) -> int:
    """How many restarts a driver allowed last; as many as `before` where it died before it could say."""
    return int(([f"restarts {before}"] + [word for word in said if word.startswith("restarts ")])[-1].split()[1])


def _heard(line: socket.socket) -> list[str]:
    """What a driver that has ended said."""
    line.setblocking(False)
    # A few short words at most; where it said nothing and something else holds its end, there is nothing to wait for.
    try:
        return line.recv(4096).decode().split("\n")
    except BlockingIOError:
        return []


def _mend_screen() -> None:
    """Shows the cursor that a live display had hidden, below what is left of the display."""
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[?25h\n")
        sys.stdout.flush()
