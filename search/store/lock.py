"""One driver at a time: the lock on a study."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...models.errors import InputError
from ..config.study import Study
from ..files import StudyFolder, sqlite_file
from .owner import Holder
from .serverlock import ServerLock, server_lock

#: Seconds after which a driver believes that another one holds the study.
_GRACE = 0.3


class StudyLock:
    """A study that this driver holds."""

    def __init__(self, stale: str | None, server: ServerLock | None):
        self.stale = stale
        """A sentence on the driver that held the study before and died, None where it left in good order."""
        self._server = server

    def check(self) -> None:
        """Returns where the study is still held; to be called before anything is written, from one thread.

        Asks the PostgreSQL server of the study, at most once a second, and waits for it while it is away. Raises
        InputError where another driver took the study over meanwhile, StorageLost where the server stays away.
        """
        if self._server:
            self._server.check()


@contextlib.contextmanager
def study_lock(folder: StudyFolder, study: Study) -> Iterator[StudyLock]:
    """Holds `study` for this driver alone, as long as the context or the process lives.

    The lock is on the file `folder.lock`; where `tracking.storage` is a SQLite file or a PostgreSQL server, which
    drivers of several home folders share, on that as well. The system, and the server, let go of it when its holder
    dies. Raises InputError where another driver holds it, naming that one, and where the file system knows no locks;
    ConfigError where the server cannot be used.
    """
    with contextlib.ExitStack() as held:
        before = [held.enter_context(_file_lock(path, study.id)) for path in (folder.lock, *_shared(study))]
        server = held.enter_context(server_lock(study))
        died = next(filter(None, before), None)
        yield StudyLock(f"took the study over from a driver that died: {died}" if died else None, server)


def _shared(study: Study) -> Iterator[Path]:
    """The file of the lock beside a SQLite database, which studies of several homes may be kept in."""
    database = sqlite_file(study.tracking.storage) if study.tracking.storage else None
    # Without the folder the database cannot be opened either, and who opens it says so better.
    if database and database.parent.is_dir():
        yield database.with_name(f".{database.name}.{study.id}.lock")


@contextlib.contextmanager
def _file_lock(path: Path, study_id: str) -> Iterator[Holder | None]:
    """Holds `path`, with the name of this process in it. Yields the holder before, where that one has not left."""
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Python's files are not inherited by the programs that a driver starts and that may outlive it.
            file = stack.enter_context(path.open("ab+", buffering=0))
            _take(file)
            before = _replace(file, Holder.this_process().to_json())
        except BlockingIOError:
            raise _refusal(path, study_id) from None
        except OSError as error:
            raise InputError(
                f"cannot lock {str(path)!r}: {error.strerror}; the home folder (--home), and that of a SQLite "
                "storage, must be writable, have room, and lie on a file system that knows locks"
            ) from None
        try:
            yield Holder.from_json(before)
        finally:
            # Emptied, not removed: another process may have it open, and would lock a file that nobody else sees.
            _replace(file, "")


def _take(file: BinaryIO) -> None:
    """Locks the file. Raises BlockingIOError where another driver holds it, and not only `status` for an instant."""
    end = time.monotonic() + _GRACE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def _replace(file: BinaryIO, content: str) -> str:
    """Replaces what stands in the file; returns it."""
    file.seek(0)
    before = file.read().decode(errors="replace")
    file.truncate(0)
    file.write(content.encode())
    return before


def _refusal(path: Path, study_id: str) -> InputError:
    holder = Holder.from_json(path.read_bytes().decode(errors="replace"))
    if holder:
        return holder.refusal(study_id)
    # It has just come, or is just leaving.
    return InputError(f"study {study_id} is being searched by another process; wait for it, then go on with --resume")
