"""One Ray node of a batch job, which lasts until the job ends it.

A platform that takes a job away sends SIGTERM to each of its processes at once. Ray would leave before the search has
saved its work. So the signal is blocked in Ray, and SIGUSR1 ends it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

from ..tempfolder import make_folder

#: Seconds between two looks at Ray.
_LOOK_SECONDS = 0.5


def run(command: Sequence[str]) -> int:
    """Run `ray start --block …` in a temporary folder of its own; return its exit status, 0 after SIGUSR1.

    SIGTERM is blocked for good, here and in all of Ray, which inherits that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    folder = make_folder()
    try:
        # A group of its own, which holds all that Ray starts here.
        node = subprocess.Popen([*command, f"--temp-dir={folder}"], stdin=subprocess.DEVNULL, process_group=0)
        while node.poll() is None:
            if signal.sigtimedwait({signal.SIGUSR1}, _LOOK_SECONDS):
                # The search has ended: there is nothing left to save.
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
                return 0
        return node.returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
