"""MLflow, set up so that it neither waits for minutes nor talks to anybody but its server, nor to the screen."""

import fcntl
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.files import write_atomically
from ..files import sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Its own defaults wait four minutes for a dead server, report usage, and draw progress bars for single files.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def set_up() -> None:
    """Sets what is not set in the environment already; processes started from here inherit it."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def client_for(tracking_uri: str) -> "MlflowClient":
    """A client of the tracking store at `tracking_uri`; a SQLite file that is not there yet is made."""
    set_up()
    # Imported here: MLflow takes seconds to load, and workers never need it.
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Every try on a server that is away, or on a database that is locked, is told with a traceback otherwise.
    for name in ("urllib3.connectionpool", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    file = sqlite_file(tracking_uri) if tracking_uri.startswith("sqlite:") else None
    if file and not file.exists():
        _make_store(file)
    return MlflowClient(tracking_uri=tracking_uri)


def _make_store(file: Path) -> None:
    """Makes a SQLite file with MLflow's tables, whole or not at all.

    MLflow makes them by dozens of migrations, which take seconds, and cannot go on with a file in which they were cut
    off by a full disk or the end of the process; nor may two processes be at it in one file.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("ab") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return
        made = Path(folder, file.name)
        SqlAlchemyStore(f"sqlite:///{made}", str(file.with_name("artifacts"))).engine.dispose()
        write_atomically(file, made.read_bytes())
