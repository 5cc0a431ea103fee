"""Retries of an operation on a server while it is away."""

import time
from collections.abc import Callable
from typing import TypeVar

from ..console import warn

Value = TypeVar("Value")

#: Seconds for which an operation on a server that is away is retried.
RETRY_SECONDS = 300.0


def retrying(
    operation: Callable[[], Value],
    away: Callable[[Exception], str | None],
    server: str,
    lost: Callable[[str], Exception],
    seconds: float = RETRY_SECONDS,
    give_up: Callable[[], bool] = lambda: False,
) -> Value:
    """Return the value of `operation`; retry it while `away` gives a reason why the `server` did not answer.

    The pauses grow from 0.2 s to 10 s, until `seconds` have passed or `give_up` returns true; then raise what `lost`
    makes of a clause. `operation` must be idempotent: it may have been done and only the answer lost. Errors without a
    reason are raised at once.
    """
    pause, end = 0.2, None
    while True:
        try:
            return operation()
        except Exception as error:
            reason = away(error)
            if reason is None:
                raise
        now = time.monotonic()
        if end is None:
            if seconds > 0:
                warn(f"{server} does not answer ({reason}); trying again for {seconds:g} s")
            begun, end = now, now + seconds
        if now >= end or give_up():
            raise lost(f"{server} has not answered for {now - begun:.0f} s ({reason})") from None
        again = now + min(pause, end - now)
        while (wait := again - time.monotonic()) > 0 and not give_up():
            time.sleep(min(wait, 0.5))
        pause = min(2 * pause, 10.0)
