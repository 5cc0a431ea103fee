"""Where a study's truth is kept: a journal file, or a database, which may be away for a while."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from ...models.errors import InputError
from ..config.study import ConfigError, Study
from ..console import warn
from ..files import sqlite_file
from .journal import open_journal

Value = TypeVar("Value")

#: Seconds that a database is waited for.
PATIENCE = 300.0

#: A server that is gone without a word is noticed within half a minute (seconds; the last one milliseconds). Of a
#: database without an encoding (SQL_ASCII), psycopg would give bytes, which SQLAlchemy does not read.
_LIBPQ = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
#: What connections of a driver are asked for. SQLite waits that many seconds for a lock.
_CONNECTIONS = {"pysqlite": {"timeout": 60}, "psycopg": _LIBPQ, "psycopg2": _LIBPQ}

#: What drivers say that is worth repeating; the rest of it, like the URL, may hold the password.
_REASONS = (
    "connection refused",
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "too many clients",
    "starting up",
    "shutting down",
    "timeout expired",
    "failed to resolve host",
    "name or service not known",
    "no route to host",
    "closed the connection unexpectedly",
    "terminating connection",
    "unable to open database file",
    "database is locked",
)


class StorageLost(InputError):
    """A database that stayed away for too long."""


class Disconnected(Exception):
    """A server that cannot be reached, or was lost in the middle of an operation, which may have been committed."""


def open_storage(study: Study, journal: Path, create: bool = True) -> optuna.storages.BaseStorage:
    """The study's Optuna storage: the database of `tracking.storage`, else the file `journal`.

    With `create` false, for those who only read, nothing is made that is not there, and nothing is mended. Raises
    ConfigError where the database cannot be used, InputError where the journal is damaged or, for a reader, missing.
    """
    if study.tracking.storage is None:
        return open_journal(journal, create)
    with database_told():
        _check_present(study.tracking.storage, create)
        settings = engine_settings(study.tracking.storage)
        storage = optuna.storages.RDBStorage(study.tracking.storage, settings, skip_table_creation=not create)
    if storage.engine.dialect.name != "sqlite":
        event.listen(storage.engine, "handle_error", _tell_disconnected)
    return storage


def _tell_disconnected(context: ExceptionContext) -> None:
    """Optuna tries five times to create a trial; after a commit whose answer was lost that would make a second one."""
    if not context.is_pre_ping and (context.is_disconnect or context.connection is None):
        raise Disconnected(str(context.original_exception)) from context.original_exception


def engine_settings(database: str) -> dict[str, Any]:
    """What SQLAlchemy is asked for beside the URL `database`, which has the last word on its connections."""
    url = make_url(database)
    wanted = _CONNECTIONS.get(url.get_driver_name(), {})
    return {
        "pool_pre_ping": True,
        "connect_args": {name: value for name, value in wanted.items() if name not in url.query},
    }


def _check_present(database: str, create: bool) -> None:
    """SQLite makes a file that is not there even for a reader."""
    file = sqlite_file(database)
    if not create and file and not file.exists():
        raise InputError("there is no file that tracking.storage names; start the study first, or give the right path")


@contextlib.contextmanager
def database_told() -> Iterator[None]:
    """Tells in one line, which holds nothing of the URL, why the database of `tracking.storage` cannot be opened."""
    try:
        yield
    except InputError:
        raise
    except ImportError:
        raise ConfigError(
            "cannot open tracking.storage: the driver of its database is not installed; "
            "for PostgreSQL: pip install 'fullspectrum[postgres]'"
        ) from None
    except (SQLAlchemyError, StorageInternalError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot open tracking.storage ({_reason(error)}); expected a database URL that SQLAlchemy reads, "
            "of a database that answers"
        ) from None


def patiently(
    operation: Callable[[], Value], patience: float = PATIENCE, hurried: Callable[[], bool] = lambda: False
) -> Value:
    """The value of `operation` on the study's storage; while its database is away, it is tried again and again.

    The pauses grow from 0.2 s to 10 s, for `patience` seconds in all, or until `hurried` says so. `operation` must be
    idempotent: it may have been committed and only the answer lost. Raises StorageLost in the end; an error that is not
    of a database being away (a full disk, a missing table) comes through at once.
    """
    pause, end = 0.2, None
    while True:
        try:
            return operation()
        except (DBAPIError, StorageInternalError, Disconnected) as error:
            if not _away(error):
                raise
            reason = _reason(error)
        now = time.monotonic()
        if end is None:
            if patience > 0:
                warn(f"the study's database does not answer ({reason}); trying again for {patience:g} s")
            begun, end = now, now + patience
        if now >= end or hurried():
            raise StorageLost(
                f"the study's database has not answered for {now - begun:.0f} s ({reason}); nothing that was recorded "
                "is lost: when it answers again, go on with --resume"
            )
        again = now + min(pause, end - now)
        while (wait := again - time.monotonic()) > 0 and not hurried():
            time.sleep(min(wait, 0.5))
        pause = min(2 * pause, 10.0)


class Patient:
    """A storage of which every operation is tried `patiently`; only for those that may be done twice.

    Once it was waited for in vain, it is not waited for again.
    """

    def __init__(self, storage: optuna.storages.BaseStorage):
        self.impatient = storage
        """The storage itself."""
        self.hurried: Callable[[], bool] = lambda: False
        """Says when it is no longer waited for."""
        self._lost: StorageLost | None = None

    def patiently(self, operation: Callable[[], Value]) -> Value:
        """The value of an operation on it."""
        try:
            return patiently(operation, 0.0 if self._lost else PATIENCE, self.hurried)
        except StorageLost as lost:
            # The first one says how long it was waited for.
            self._lost = self._lost or lost
            raise self._lost from None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self.impatient, name)
        return lambda *arguments, **named: self.patiently(lambda: operation(*arguments, **named))


def _away(error: Exception) -> bool:
    """Whether the database could not be asked, so that asking again may help."""
    error = _told_by_database(error)
    if isinstance(error, Disconnected):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if name := getattr(error.orig, "sqlite_errorname", None):
        return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    # PostgreSQL: no connection, an operator's intervention, a rollback among rivals, too many connections.
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(("08", "57P", "40")) or state == "53300"


def _told_by_database(error: BaseException) -> BaseException:
    """Optuna wraps what the database says."""
    return error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error


def _reason(error: BaseException) -> str:
    error = _told_by_database(error)
    text = str(error).lower()
    return next((reason for reason in _REASONS if reason in text), type(error).__name__)
