"""MLflow, set up so that it neither waits for minutes, nor talks to anybody but its server, nor prints."""

import fcntl
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import InputError, first_line
from ...models.files import write_atomically
from ..files import Home, sqlite_file, sqlite_uri
from .relocation import relocate
from .server import without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: MLflow's defaults wait four minutes for a dead server, report usage, and draw progress bars for single files.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def set_up() -> None:
    """Set the variables that the environment does not set already; processes started from here inherit them."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def client_for(home: Home, server: str | None) -> "MlflowClient":
    """Return a client of the tracking server; without one of the store of `home`, with its artifacts where it lies now.

    A SQLite file that is not there yet is made. Raises InputError where the store cannot be used.
    """
    set_up()
    # Imported here: MLflow takes seconds to load, and workers never need it.
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Otherwise they log a traceback for every try on a server that is away, or on a database that is locked.
    for name in ("urllib3.connectionpool", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    file = sqlite_file(server) if server else home.database
    if file and not file.exists():
        _make_store(file)
    if server is None:
        relocate(home)
    try:
        return MlflowClient(tracking_uri=server or home.tracking_uri)
    except MlflowException as error:
        raise InputError(
            f"MLflow cannot use the server {without_password(server or home.tracking_uri)}: {first_line(error)}"
        ) from error


def _make_store(file: Path) -> None:
    """Make a SQLite file with MLflow's tables, whole or not at all.

    MLflow makes them by dozens of migrations, which take seconds. It cannot go on with a file in which a full disk or
    the end of the process has cut them off, and two processes must not migrate one file at once.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("ab") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return
        made = Path(folder, file.name)
        SqlAlchemyStore(sqlite_uri(made), file.absolute().with_name("artifacts").as_uri()).engine.dispose()
        write_atomically(file, made.read_bytes())
