"""A free port for Ray's head."""

import socket
import sys

#: Ports below those that systems give to outgoing connections.
_FIRST, _COUNT = 20_000, 12_000

#: How far the first choices of two jobs in a row lie apart.
_STRIDE = 16


def free_port(job: int) -> int:
    """Return a port on which nobody listens; jobs on one node that ask at the same time get different ones."""
    for attempt in range(_COUNT):
        port = _FIRST + (job * _STRIDE + attempt) % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port is free from {_FIRST} to {_FIRST + _COUNT - 1}")


if __name__ == "__main__":
    print(free_port(int(sys.argv[1])))
