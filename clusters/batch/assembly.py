"""The wait for the nodes of a batch job."""

import contextlib
import os
import sys
import time

from ..connection import connect
from ..errors import ClusterError

#: Seconds between two looks.
_LOOK_SECONDS = 0.5


def wait_for_nodes(address: str, expected: int, seconds: float, head: int) -> int:
    """Wait until `expected` nodes have joined the Ray at `address`, `seconds` at most; return how many there are.

    Raise ClusterError where no Ray answers in that time, or where the process `head` that starts it has ended.
    """
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as connection:
        while True:
            try:
                connection.enter_context(connect(address))
                break
            except ClusterError:
                _check_runs(head)
                if time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)
        import ray

        while True:
            alive = sum(bool(node["Alive"]) for node in ray.nodes())
            if alive >= expected or time.monotonic() > end:
                return alive
            _check_runs(head)
            time.sleep(_LOOK_SECONDS)


def _check_runs(head: int) -> None:
    try:
        os.kill(head, 0)
    except ProcessLookupError:
        raise ClusterError("Ray's head has ended; what it said stands above") from None


def main(expected: int, seconds: float, head: int) -> int:
    """Wait for the nodes of the Ray that RAY_ADDRESS names, and say where some are missing; return the exit status."""
    try:
        alive = wait_for_nodes(os.environ["RAY_ADDRESS"], expected, seconds, head)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    if alive < expected:
        print(f"only {alive} of {expected} nodes came within {seconds:g} s; the search begins on them", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
