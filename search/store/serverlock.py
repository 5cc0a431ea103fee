"""The lock on a study where its storage is a database server, which drivers of several machines share."""

import contextlib
import time
from collections.abc import Callable, Iterator

from sqlalchemy import text
from sqlalchemy.engine import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ...models.errors import InputError
from .owner import LockOwner
from .serversessions import SERVERS, Session
from .storage import engine_settings, explained_errors, with_retries

#: Seconds between two questions to the server whether the lock is still held.
_RECHECK_SECONDS = 1.0

#: Seconds for which a driver retries a lock that another session holds.
_LOCK_SECONDS = 1.0


class ServerLock:
    """A lock of a session of its own at the server, which releases it when the session ends.

    The connection must go to the server itself, or to a pooler that gives a client one session for its whole life.
    """

    def __init__(self, study_id: str, database: str):
        self._study_id = study_id
        self._server = SERVERS[make_url(database).get_backend_name()](study_id)
        this = LockOwner.this_process()
        # The server cuts names at 63 bytes.
        self._name = f"fullspectrum {this.host[:40]} {this.pid}"
        settings = engine_settings(database) | {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
        self._engine = create_engine(database, **settings)
        self._connection: Connection | None = None
        self._held: Session | None = None
        """The last session that held the lock for this driver."""
        self._checked = 0.0
        self.give_up: Callable[[], bool] = lambda: False
        """Returns true when nobody is to wait any more for a server that is away."""

    def acquire(self) -> None:
        """Take the lock in a new session. Raise InputError where another driver holds it, naming that driver."""
        self.release()
        connection = self._engine.connect()
        try:
            self._server.prepare(connection, self._name)
            self._lock(connection)
            self._held = self._server.owner(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._checked = connection, time.monotonic()

    def _lock(self, connection: Connection) -> None:
        # The session of a driver that has just died, or lost its connection, may last for a moment more.
        end = time.monotonic() + _LOCK_SECONDS
        while not self._server.take(connection):
            owner = self._server.owner(connection)
            if time.monotonic() > end:
                raise self._lock_error(owner)
            if owner is not None and owner == self._held:
                # This driver's own session: the server has not noticed yet that its connection is lost.
                self._server.end(connection, owner.number)
            time.sleep(0.1)

    def _lock_error(self, owner: Session | None) -> InputError:
        words = owner.name.split() if owner else []
        if owner and owner.since is not None and len(words) == 3 and words[0] == "fullspectrum":
            return LockOwner(words[1], int(words[2]), owner.since).error(self._study_id)
        who = f"a process on {owner.name}" if owner and owner.name else "another process"
        if owner:
            who += f" (session {owner.number} of the database)"
        return InputError(f"study {self._study_id} is being searched by {who}; wait for it to end")

    def check(self) -> None:
        """Return where the lock is held; take it anew where the session was lost. See `StudyLock.check`."""
        if self._connection is None or time.monotonic() - self._checked >= _RECHECK_SECONDS:
            with_retries(self._verify, give_up=self.give_up)

    def _verify(self) -> None:
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                self._checked = time.monotonic()
                return
        except DBAPIError:
            pass
        self.acquire()

    def release(self) -> None:
        """End the session, and the lock with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A lost session cannot be ended any more.
            with contextlib.suppress(DBAPIError):
                connection.close()


@contextlib.contextmanager
def server_lock(study_id: str, database: str | None) -> Iterator[ServerLock | None]:
    """Hold the lock on the server, and yield it; yield None where `database`, a URL, is none whose locks are known."""
    with explained_errors():
        is_server = database and make_url(database).get_backend_name() in SERVERS
        lock = ServerLock(study_id, database) if database and is_server else None
        if lock:
            with_retries(lock.acquire, first=True)
    try:
        yield lock
    finally:
        if lock:
            lock.release()
