"""The locks of database servers: each is held by a session, and released with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.engine import Connection


@dataclass(frozen=True)
class Session:
    """A session that holds a lock."""

    number: int
    """By which the server knows it."""
    name: str
    """What it calls itself, or where it comes from; empty where the server does not say."""
    since: datetime | None = None
    """When it began, where the server says so, with its time zone."""


class ServerSessions(Protocol):
    """The locks of one kind of server, for one study."""

    def __init__(self, study_id: str) -> None: ...

    def prepare(self, connection: Connection, name: str) -> None:
        """Name a session, and let the server notice when its machine is gone."""

    def take(self, connection: Connection) -> bool:
        """Take the lock, if nobody holds it; return whether it was taken."""

    def owner(self, connection: Connection) -> Session | None:
        """Return the session that holds the lock; None where none does, or none that the server shows."""

    def end(self, connection: Connection, number: int) -> None:
        """End another session."""


class PostgreSQL:
    """Advisory locks."""

    #: With these the server notices within half a minute that a driver's machine is gone, and releases its lock.
    _SETTINGS: Mapping[str, str] = {
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }

    #: The session that holds a lock.
    _OWNER = text("""
        SELECT pid, application_name, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = :key
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """)

    def __init__(self, study_id: str) -> None:
        self._key = {"key": advisory_key(study_id)}

    def prepare(self, connection: Connection, name: str) -> None:
        for setting, value in ({**self._SETTINGS, "application_name": name}).items():
            connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": setting, "value": value})

    def take(self, connection: Connection) -> bool:
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), self._key))

    def owner(self, connection: Connection) -> Session | None:
        found = connection.execute(self._OWNER, self._key).first()
        return Session(*found) if found else None

    def end(self, connection: Connection, number: int) -> None:
        connection.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})


class MySQL:
    """Named locks of MySQL and MariaDB, which are those of the whole server."""

    #: Seconds after which the server ends a session that asks for nothing, and releases its lock: that of a machine
    #: that is gone. A driver that was silent for so long takes its lock anew before it writes.
    _IDLE = 3600

    def __init__(self, study_id: str) -> None:
        self._lock = {"name": f"fullspectrum {study_id}"}

    def prepare(self, connection: Connection, name: str) -> None:
        # It cannot be named once it is there.
        connection.execute(text(f"SET SESSION wait_timeout = {self._IDLE}"))

    def take(self, connection: Connection) -> bool:
        return bool(connection.scalar(text("SELECT GET_LOCK(:name, 0)"), self._lock))

    def owner(self, connection: Connection) -> Session | None:
        number = connection.scalar(text("SELECT IS_USED_LOCK(:name)"), self._lock)
        if number is None:
            return None
        host = connection.scalar(
            text("SELECT host FROM information_schema.processlist WHERE id = :number"), {"number": number}
        )
        return Session(int(number), host or "")

    def end(self, connection: Connection, number: int) -> None:
        connection.execute(text(f"KILL {number:d}"))


#: By SQLAlchemy's names of the servers.
SERVERS: dict[str, type[ServerSessions]] = {"postgresql": PostgreSQL, "mysql": MySQL, "mariadb": MySQL}


def advisory_key(study_id: str) -> int:
    """Return the key of the study's lock among all advisory locks of a database: a signed integer of 64 bits."""
    return int.from_bytes(hashlib.sha256(f"fullspectrum {study_id}".encode()).digest()[:8], signed=True)
