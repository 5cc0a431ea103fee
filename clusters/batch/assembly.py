"""The wait for the nodes of a batch job."""

import contextlib
import os
import sys
import time

from ..connection import connect
from ..errors import ClusterError

#: Seconds between two looks.
_LOOK_SECONDS = 0.5


def wait_for_nodes(address: str, expected: int, seconds: float) -> int:
    """Wait until `expected` nodes have joined the Ray at `address`, `seconds` at most; return how many there are.

    Raise ClusterError where no Ray answers in that time.
    """
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as connection:
        while True:
            try:
                connection.enter_context(connect(address))
                break
            except ClusterError:
                if time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)
        import ray

        while True:
            alive = sum(node["Alive"] for node in ray.nodes())
            if alive >= expected or time.monotonic() > end:
                return alive
            time.sleep(_LOOK_SECONDS)


def main(expected: int, seconds: float) -> int:
    """Wait for the nodes of the Ray that RAY_ADDRESS names, and say who came; return the exit status."""
    try:
        alive = wait_for_nodes(os.environ["RAY_ADDRESS"], expected, seconds)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    if alive < expected:
        print(f"only {alive} of {expected} nodes came within {seconds:g} s; the search begins on them", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
