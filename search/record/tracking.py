"""MLflow, set up so that it neither waits for minutes nor talks to anybody but its server, nor to the screen."""

import logging
import os
from typing import TYPE_CHECKING

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
    """A client of the tracking store at `tracking_uri`."""
    set_up()
    # Imported here: MLflow takes seconds to load, and workers never need it.
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Every try on a server that is away, or on a database that is locked, is told with a traceback otherwise.
    for name in ("urllib3.connectionpool", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=tracking_uri)
