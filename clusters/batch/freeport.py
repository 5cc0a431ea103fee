"""A free port for Ray's head, and the next one for its clients."""

import socket
import sys

#: Ports below those that systems give to outgoing connections.
_FIRST, _COUNT = 20_000, 12_000

#: How far the first choices of two jobs in a row lie apart.
_STRIDE = 16


def free_port(job: int) -> int:
    """Return a port on which nobody listens, nor on the next one.

    Jobs on one node that ask at the same time get different ones.
    """
    for attempt in range(0, _COUNT, 2):
        port = _FIRST + (job * _STRIDE + attempt) % _COUNT
        if _free(port) and _free(port + 1):
            return port
    raise OSError(f"no two ports in a row are free from {_FIRST} to {_FIRST + _COUNT - 1}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    print(free_port(int(sys.argv[1])))
