"""Opens a page in a browser once its server answers: a program of its own beside a server that loads for seconds."""

import os
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable

#: Seconds for which the server may load.
_LOADING_SECONDS = 120.0


def open_later(address: str) -> None:
    """Start a process that opens `address` once it is answered there, as long as this process lives."""
    subprocess.Popen([sys.executable, "-m", __name__, address])


def opened(address: str, alive: Callable[[], bool], pause: float = 0.5) -> bool:
    """Open `address` once its server answers; return whether it did so while `alive()`, within two minutes."""
    end = time.monotonic() + _LOADING_SECONDS
    while alive() and time.monotonic() < end:
        try:
            urllib.request.urlopen(address.partition("#")[0], timeout=5).close()
        except OSError:
            time.sleep(pause)
        else:
            return webbrowser.open(address)
    return False


if __name__ == "__main__":
    parent = os.getppid()
    opened(sys.argv[1], lambda: os.getppid() == parent)
