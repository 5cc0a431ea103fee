"""Which tracking server a record goes to."""

import os
import re
from urllib.parse import urlsplit

from ...models.errors import InputError
from ..files import Home, sqlite_file

#: The variable of MLflow's own that names its server.
VARIABLE = "MLFLOW_TRACKING_URI"

#: What MLflow takes: a URL, but not that of a folder; or a name of Databricks.
_SERVER = re.compile(r"(?!file:)[\w+.-]+://|databricks|uc\b")


def tracking_server(home: Home, setting: str | None = None) -> str | None:
    """Return the tracking URI of the server; None for the store of `home`.

    It is the `setting` of [tracking] where there is one, else what the environment names, else the home. Raises
    InputError where that is no tracking URI.
    """
    server = setting or os.environ.get(VARIABLE)
    if not server:
        return None
    if not _is_uri(server):
        raise InputError(
            f"MLflow has no server at {server!r}{'' if setting else f', which {VARIABLE} names'}; "
            "expected a tracking URI, as in http://mlflow.internal:5000 or sqlite:////data/mlflow.db"
        )
    # Named as a server it would be left behind where the home is moved.
    file = sqlite_file(server)
    return None if file and os.path.realpath(file) == str(home.database) else server


def _is_uri(server: str) -> bool:
    try:
        # A port that is no number is found where it is asked for.
        urlsplit(server).port  # noqa: B018
    except ValueError:
        return False
    return bool(_SERVER.match(server))


def without_password(text: str) -> str:
    """Return `text` without what a URL in it names before its host: it may be a password."""
    return re.sub(r"://[^/\s]*@", "://…@", text)
