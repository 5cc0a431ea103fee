"""One driver at a time: the lock on a study."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...models.errors import InputError
from ..config.study import Study
from ..files import StudyFolder, sqlite_file
from .owner import LockOwner
from .serverlock import ServerLock, server_lock
from .storage import explained_errors

#: Seconds for which a driver retries a lock that another process holds.
_LOCK_SECONDS = 0.3


class StudyLock:
    """A study that this driver holds."""

    def __init__(self, stale: str | None, server: ServerLock | None):
        self.stale = stale
        """A sentence on the driver that held the study before and died; None where that driver released the lock."""
        self._server = server

    def give_up_when(self, give_up: Callable[[], bool]) -> None:
        """Stop waiting for a server that is away where `give_up` returns true."""
        if self._server:
            self._server.give_up = give_up

    def check(self) -> None:
        """Return where this driver still holds the study; call it before each write, from one thread.

        Ask the PostgreSQL server of the study, at most once a second, and retry while the server is away. Raise
        InputError where another driver took the study over meanwhile, StorageLost where the server stays away.
        """
        if self._server:
            self._server.check()


@contextlib.contextmanager
def study_lock(folder: StudyFolder, study: Study) -> Iterator[StudyLock]:
    """Hold `study` for this driver alone, as long as the context or the process lives.

    The lock is on the file `folder.lock`; where `tracking.storage` is a SQLite file or a PostgreSQL server, which
    drivers of several home folders share, there is a second one on that. The system and the server release the locks
    when their owner dies. Raise InputError where another driver holds the study, naming that driver, and where the file
    system has no locks; ConfigError where the database cannot be used.
    """
    with contextlib.ExitStack() as held:
        before = [
            held.enter_context(_file_lock(path, study.id))
            for path in (folder.lock, *_shared(study.id, study.tracking.storage))
        ]
        server = held.enter_context(server_lock(study.id, study.tracking.storage))
        died = next(filter(None, before), None)
        yield StudyLock(f"took the study over from a driver that died: {died}" if died else None, server)


def _shared(study_id: str, storage: str | None) -> Iterator[Path]:
    """Yield the file of the lock beside a SQLite database, which may hold studies of several homes."""
    with explained_errors():
        database = sqlite_file(storage) if storage else None
    # Without the folder the database cannot be opened either, and the error of opening it is clearer.
    if database and database.parent.is_dir():
        yield database.with_name(f".{database.name}.{study_id}.lock")


@contextlib.contextmanager
def _file_lock(path: Path, study_id: str) -> Iterator[LockOwner | None]:
    """Hold the lock on `path`, with this process named in it. Yield the owner before, where it has not released it."""
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Python's files are not inherited by the programs that a driver starts and that may outlive it.
            file = stack.enter_context(path.open("ab+", buffering=0))
            _acquire(file)
            before = _replace(file, LockOwner.this_process().to_json())
        except BlockingIOError:
            raise _lock_error(path, study_id) from None
        except OSError as error:
            raise InputError(
                f"cannot lock {str(path)!r}: {error.strerror}; the home folder (--home), and that of a SQLite "
                "storage, must be writable, have room, and lie on a file system that knows locks"
            ) from None
        try:
            yield LockOwner.from_json(before)
        finally:
            # Emptied, not removed: another process may have it open, and would lock a file that nobody else sees.
            _replace(file, "")


def _acquire(file: BinaryIO) -> None:
    """Lock the file. Raise BlockingIOError where another driver holds it, and not only `status` for an instant."""
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def _replace(file: BinaryIO, content: str) -> str:
    """Replace the content of the file; return the former content."""
    file.seek(0)
    before = file.read().decode(errors="replace")
    file.truncate(0)
    file.write(content.encode())
    return before


def _lock_error(path: Path, study_id: str) -> InputError:
    owner = LockOwner.from_json(path.read_bytes().decode(errors="replace"))
    if owner:
        return owner.error(study_id)
    # The owner has just taken the lock, or is just releasing it.
    return InputError(f"study {study_id} is being searched by another process; wait for it, then go on with --resume")
