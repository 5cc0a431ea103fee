"""Optuna's journal file, with whole lines only: a line that a dying process left torn is cut off."""

import fcntl
import json
import os
from pathlib import Path

from optuna.storages.journal import JournalFileBackend, JournalStorage

from ...models.errors import InputError


def open_journal(journal: Path, create: bool) -> JournalStorage:
    """Return the storage in a journal file; make the file where it is missing and `create` is true.

    Raise InputError where it is missing otherwise, and where a line of it is damaged.
    """
    if create:
        journal.parent.mkdir(parents=True, exist_ok=True)
    elif not journal.exists():
        raise InputError(f"there is no journal {str(journal)!r}; start the study first, or restore it from a backup")
    if journal.exists():
        _check_lines(journal)
    # The base class of Optuna's locks is not public.
    return JournalStorage(JournalFileBackend(str(journal), JournalLock(journal)))  # type: ignore[arg-type]


def _check_lines(journal: Path) -> None:
    """Raise InputError for a line that is no entry, unless it is a last one without its end."""
    with journal.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                whole = not line.endswith(b"\n") or "op_code" in json.loads(line)
            except (ValueError, TypeError):
                whole = False
            if not whole:
                raise InputError(
                    f"{str(journal)!r} is damaged: line {number} is no entry of it; restore the file from a backup"
                )


class JournalLock:
    """Optuna's lock on a journal file, by `flock` on the file itself; a torn end is cut off before anything is added.

    The system releases it when the owner dies, whereas Optuna's own locks stay for half a minute. A torn line was never
    acknowledged, and the next line must not be glued to it.
    """

    def __init__(self, journal: Path):
        self._journal = journal
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock, and take it."""
        file = os.open(self._journal, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut_torn_end(file)
        except BaseException:
            os.close(file)
            raise
        # Only the owner of the lock gets here; other threads wait above.
        self._file = file
        return True

    def release(self) -> None:
        """Release the lock."""
        file, self._file = self._file, None
        assert file is not None, "acquire() comes first"
        # Unlocked before it is closed: a process that was forked meanwhile has the file open, too.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _cut_torn_end(file: int) -> None:
    size = whole = os.fstat(file).st_size
    while whole and os.pread(file, 1, whole - 1) != b"\n":
        whole -= 1
    if whole < size:
        os.ftruncate(file, whole)
