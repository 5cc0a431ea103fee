"""The copies of what the driver alone writes, from which another machine can go on."""

import threading
from typing import Self

from ..files import StudyFolder
from .mirror import mirror_of

#: Seconds between two copies of the spool: as much of it may be lost with the driver's machine.
INTERVAL = 60.0

#: What is not copied to the machine of a new driver: workers ask for it, or it says what now is.
_NOT_RESTORED = ("checkpoints", "scores", "leave")


def restore(folder: StudyFolder) -> None:
    """Copy what is missing in the folder of a study from the store to here, where there is one."""
    mirror_of(folder).restore(folder.path, _NOT_RESTORED)


class Backup:
    """Copies what the driver writes of a study to the store: at the start, the spool every minute, all at `finish`.

    Never the settings, nor where the record goes: their URLs may hold a password. Without a store it does nothing.
    """

    def __init__(self, folder: StudyFolder):
        self._folder = folder
        self._mirror = mirror_of(folder)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="backup", daemon=True)

    def __enter__(self) -> Self:
        self._mirror.push(self._folder.initial_weights, self._folder.origins)
        if self._folder.files is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(INTERVAL):
            try:
                self._push_spool()
            except OSError:
                # The workers' files are more urgent, and say so; the spool goes with the next copy.
                continue

    def _push_spool(self) -> None:
        # Not how far it is delivered: the next driver's record may be another one, and gets each event once.
        self._mirror.push(self._folder.spool)

    def finish(self) -> None:
        """Copy all of it. Raises OSError where the store stays away."""
        folder = self._folder
        self._mirror.push(folder.report, folder.best, folder.baselines)
        self._mirror.complete(folder.trials)
        self._push_spool()
