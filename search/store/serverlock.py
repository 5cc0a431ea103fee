"""The lock on a study where its storage is a PostgreSQL server, which drivers of several machines share."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.engine import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ...models.errors import InputError
from .owner import LockOwner
from .storage import engine_settings, explained_errors, with_retries

#: Seconds between two questions to the server whether the lock is still held.
_RECHECK_SECONDS = 1.0

#: Seconds for which a driver retries a lock that another session holds.
_LOCK_SECONDS = 1.0

#: With these the server notices within half a minute that a driver's machine is gone, and releases its lock.
_SETTINGS = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}

#: The session that holds a lock.
_OWNER = text("""
    SELECT pid, application_name, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = :key
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


class ServerLock:
    """An advisory lock of a session of its own: the server releases it when the session ends.

    The connection must go to the server itself, or to a pooler that gives a client one session for its whole life.
    """

    def __init__(self, study_id: str, database: str):
        self._study_id = study_id
        self._key = advisory_key(study_id)
        this = LockOwner.this_process()
        # The server cuts names at 63 bytes.
        self._name = f"fullspectrum {this.host[:40]} {this.pid}"
        settings = engine_settings(database) | {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
        self._engine = create_engine(database, **settings)
        self._connection: Connection | None = None
        self._session: int | None = None
        self._checked = 0.0

    def acquire(self) -> None:
        """Take the lock in a new session. Raise InputError where another driver holds it, naming that driver."""
        self.release()
        connection = self._engine.connect()
        try:
            for name, value in (_SETTINGS | {"application_name": self._name}).items():
                connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})
            self._lock(connection)
            self._session = connection.scalar(text("SELECT pg_backend_pid()"))
        except BaseException:
            connection.close()
            raise
        self._connection, self._checked = connection, time.monotonic()

    def _lock(self, connection: Connection) -> None:
        # The session of a driver that has just died, or lost its connection, may last for a moment more.
        end = time.monotonic() + _LOCK_SECONDS
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}):
            session, name, since = connection.execute(_OWNER, {"key": self._key}).first() or (None, None, None)
            if time.monotonic() > end:
                raise self._lock_error(name, since)
            if session is not None and (session, name) == (self._session, self._name):
                # This driver's own session: the server has not noticed yet that its connection is lost.
                connection.execute(text("SELECT pg_terminate_backend(:session)"), {"session": session})
            time.sleep(0.1)

    def _lock_error(self, name: str | None, since: datetime | None) -> InputError:
        words = (name or "").split()
        if since is not None and len(words) == 3 and words[0] == "fullspectrum":
            return LockOwner(words[1], int(words[2]), since).error(self._study_id)
        return InputError(f"study {self._study_id} is being searched by another process; wait for it to end")

    def check(self) -> None:
        """Return where the lock is held; take it anew where the session was lost. See `StudyLock.check`."""
        if self._connection is None or time.monotonic() - self._checked >= _RECHECK_SECONDS:
            with_retries(self._verify)

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
    """Hold the lock on the server, and yield it; yield None where `database`, a URL, is no PostgreSQL server."""
    with explained_errors():
        is_server = database and make_url(database).get_backend_name() == "postgresql"
        lock = ServerLock(study_id, database) if database and is_server else None
        if lock:
            lock.acquire()
    try:
        yield lock
    finally:
        if lock:
            lock.release()


def advisory_key(study_id: str) -> int:
    """Return the key of the study's lock among all advisory locks of a database: a signed integer of 64 bits."""
    return int.from_bytes(hashlib.sha256(f"fullspectrum {study_id}".encode()).digest()[:8], signed=True)
