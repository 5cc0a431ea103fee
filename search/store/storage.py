"""The Optuna storage of a study: a journal file, or a database, which may be away for a while."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from ...models.errors import InputError
from ..config.study import ConfigError
from ..files import sqlite_file
from ..remote.retries import RETRY_SECONDS, retrying
from .journal import open_journal

Value = TypeVar("Value")

#: Settings of PostgreSQL's client, in seconds, the last one in milliseconds: a driver notices within half a minute that
#: a server is gone. From a database without an encoding (SQL_ASCII), psycopg would otherwise return bytes, which
#: SQLAlchemy does not read.
_LIBPQ: dict[str, object] = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

#: Arguments of connections, by database driver. SQLite waits that many seconds for a lock.
_CONNECTIONS: dict[str, dict[str, object]] = {"pysqlite": {"timeout": 60}, "psycopg": _LIBPQ, "psycopg2": _LIBPQ}

#: Parts of error messages that are repeated to the user; the other parts, like the URL, may hold the password.
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
    "access denied",
    "unknown database",
    "can't connect",
    "lost connection",
    "no route to host",
    "closed the connection unexpectedly",
    "terminating connection",
    "unable to open database file",
    "database is locked",
)


#: Those of them that pass, so that a driver that begins waits; another one is a mistake in the URL, or at the server.
_PASSING = (
    "connection refused",
    "too many clients",
    "starting up",
    "shutting down",
    "timeout expired",
    "can't connect",
    "lost connection",
    "no route to host",
    "closed the connection unexpectedly",
    "terminating connection",
    "database is locked",
)


class StorageLost(InputError):
    """A database that stayed away for too long."""


class Disconnected(Exception):
    """A server that cannot be reached, or a connection lost during an operation, which may have been committed."""


def open_storage(database: str | None, journal: Path, create: bool = True) -> optuna.storages.BaseStorage:
    """Return a study's Optuna storage: the `database` of `tracking.storage`, or without one the file `journal`.

    With `create` false, for readers, neither file nor table is made. Raise ConfigError where the database cannot be
    used, InputError where the journal is damaged or, for a reader, missing.
    """
    if database is None:
        return open_journal(journal, create)
    with explained_errors():
        _check_present(database, create)
        settings = engine_settings(database)
        open_it = partial(optuna.storages.RDBStorage, database, settings, skip_table_creation=not create)
        # A reader is a command, whose user waits in front of it.
        storage = with_retries(open_it, first=True) if create else open_it()
    if storage.engine.dialect.name != "sqlite":
        event.listen(storage.engine, "handle_error", _raise_disconnected)
    return storage


def _raise_disconnected(context: ExceptionContext) -> None:
    """Raise Disconnected in the place of an error that Optuna would retry by itself.

    Optuna tries five times to create a trial; after a commit whose answer was lost that would make a second trial.
    """
    if not context.is_pre_ping and (context.is_disconnect or context.connection is None):
        raise Disconnected(str(context.original_exception)) from context.original_exception


def engine_settings(database: str) -> dict[str, object]:
    """Return the arguments of SQLAlchemy's engine for the URL `database`; the URL's own settings take precedence."""
    url = make_url(database)
    wanted = _CONNECTIONS.get(url.get_driver_name(), {})
    return {
        "pool_pre_ping": True,
        "connect_args": {name: value for name, value in wanted.items() if name not in url.query},
    }


def _check_present(database: str, create: bool) -> None:
    """Raise InputError for a reader of a SQLite file that is not there: SQLite would make it."""
    file = sqlite_file(database)
    if not create and file and not file.exists():
        raise InputError("there is no file that tracking.storage names; start the study first, or give the right path")


@contextlib.contextmanager
def explained_errors() -> Iterator[None]:
    """Raise ConfigError, in one line without any part of the URL, where the block cannot open `tracking.storage`."""
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


def with_retries(
    operation: Callable[[], Value],
    seconds: float = RETRY_SECONDS,
    give_up: Callable[[], bool] = lambda: False,
    first: bool = False,
) -> Value:
    """Return the value of `operation` on the study's storage; retry it while the database is away.

    The pauses grow from 0.2 s to 10 s, until `seconds` have passed or `give_up` returns true; then raise StorageLost.
    `operation` must be idempotent: it may have been committed and only the answer lost. Errors of another kind (a full
    disk, a missing table) are raised at once; of the `first` operation also whatever may be a mistake in the URL.
    """

    def away(error: Exception) -> str | None:
        if not isinstance(error, DBAPIError | StorageInternalError | Disconnected) or not _away(error):
            return None
        reason = _reason(error)
        return None if first and reason not in _PASSING else reason

    def lost(clause: str) -> StorageLost:
        return StorageLost(f"{clause}; nothing that was recorded is lost: when it answers again, go on with --resume")

    return retrying(operation, away, "the study's database", lost, seconds, give_up)


class RetryingStorage:
    """A storage whose every operation runs `with_retries`; only for operations that may be done twice.

    After the retries have failed once, no operation is retried any more.
    """

    def __init__(self, storage: optuna.storages.BaseStorage):
        self.direct = storage
        """The storage without retries."""
        self.give_up: Callable[[], bool] = lambda: False
        """Returns true when retries are to end."""
        self._lost: StorageLost | None = None

    def retry(self, operation: Callable[[], Value]) -> Value:
        """Return the value of an operation on the storage."""
        try:
            return with_retries(operation, 0.0 if self._lost else RETRY_SECONDS, self.give_up)
        except StorageLost as lost:
            # The first one says for how long the operation was retried.
            self._lost = self._lost or lost
            raise self._lost from None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self.direct, name)
        return lambda *arguments, **named: self.retry(lambda: operation(*arguments, **named))


def _away(error: BaseException) -> bool:
    """Return whether the database could not be reached, so that a retry may help."""
    error = _cause(error)
    if isinstance(error, Disconnected):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if name := getattr(error.orig, "sqlite_errorname", None):
        return str(name).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    # PostgreSQL: no connection, an operator's intervention, a rollback among rivals, too many connections.
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(("08", "57P", "40")) or state == "53300"


def _cause(error: BaseException) -> BaseException:
    """Return the error of the database, which Optuna wraps."""
    return error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error


def _reason(error: BaseException) -> str:
    error = _cause(error)
    text = str(error).lower()
    return next((reason for reason in _REASONS if reason in text), type(error).__name__)
