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
from ..config.study import Study
from .owner import Holder, moment
from .storage import database_told, engine_settings, patiently

#: Seconds within which the server is not asked again.
_TRUSTED = 1.0

#: Seconds after which a driver believes that another one holds the study.
_GRACE = 1.0

#: The server, too, notices within half a minute that a driver's machine is gone, and lets go of its lock.
_SETTINGS = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}

_HOLDER = text("""
    SELECT pid, application_name, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = :key
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


class ServerLock:
    """An advisory lock of a session of its own: the server lets go of it when the session ends.

    The server must be reached itself, or through a pooler that gives a client one session for its whole life.
    """

    def __init__(self, study: Study):
        self._study_id = study.id
        self._key = advisory_key(study.id)
        this = Holder.this_process()
        # The server cuts names at 63 bytes.
        self._name = f"fullspectrum {this.host[:40]} {this.pid}"
        settings = engine_settings(study.tracking.storage) | {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
        self._engine = create_engine(study.tracking.storage, **settings)
        self._connection: Connection | None = None
        self._session: int | None = None
        self._checked = 0.0

    def acquire(self) -> None:
        """Takes the lock in a new session. Raises InputError where another driver holds it, and names that one."""
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
        # The session of a driver that has just died, or was cut off, may be there for a moment more.
        end = time.monotonic() + _GRACE
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}):
            session, name, since = connection.execute(_HOLDER, {"key": self._key}).first() or (None, None, None)
            if time.monotonic() > end:
                raise self._refusal(name, since)
            if session is not None and (session, name) == (self._session, self._name):
                # This driver's own, of which the server has not noticed yet that it was cut off.
                connection.execute(text("SELECT pg_terminate_backend(:session)"), {"session": session})
            time.sleep(0.1)

    def _refusal(self, name: str | None, since: datetime | None) -> InputError:
        words = (name or "").split()
        if len(words) == 3 and words[0] == "fullspectrum":
            return Holder(words[1], int(words[2]), moment(since)).refusal(self._study_id)
        return InputError(f"study {self._study_id} is being searched by another process; wait for it to end")

    def check(self) -> None:
        """Returns where the lock is held, taking it anew where the session was lost; see `StudyLock.check`."""
        if self._connection is None or time.monotonic() - self._checked >= _TRUSTED:
            patiently(self._verify)

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
        """Ends the session, and the lock with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Of a session that is lost nothing is left to end.
            with contextlib.suppress(DBAPIError):
                connection.close()


@contextlib.contextmanager
def server_lock(study: Study) -> Iterator[ServerLock | None]:
    """Holds the lock on the server; None where the study's storage is no PostgreSQL server."""
    with database_told():
        database = study.tracking.storage
        lock = ServerLock(study) if database and make_url(database).get_backend_name() == "postgresql" else None
        if lock:
            lock.acquire()
    try:
        yield lock
    finally:
        if lock:
            lock.release()


def advisory_key(study_id: str) -> int:
    """The study's lock among all advisory locks of a database: a signed integer of 64 bits."""
    return int.from_bytes(hashlib.sha256(f"fullspectrum {study_id}".encode()).digest()[:8], signed=True)
