"""The store of a home that was moved or copied: MLflow keeps absolute paths of artifacts, which are mended here."""

import sqlite3
from contextlib import closing

from ...models.errors import InputError
from ..files import Home
from ..names import Tag

#: The experiments of our own, with the names of their folders; experiment 0 is the one that MLflow makes by itself.
_EXPERIMENTS = """
    SELECT experiments.experiment_id, artifact_location, iif(experiments.experiment_id = 0, '0', value) FROM experiments
    LEFT JOIN experiment_tags ON experiment_tags.experiment_id = experiments.experiment_id AND key = ?
    WHERE value IS NOT NULL OR experiments.experiment_id = 0
"""

_MOVE_RUNS = """
    UPDATE runs SET artifact_uri = :new || '/' || run_uuid || '/artifacts'
    WHERE experiment_id = :id AND artifact_uri = :old || '/' || run_uuid || '/artifacts'
"""

#: Models that were registered of our runs lie among their artifacts.
_MOVE_MODELS = """
    UPDATE model_versions SET source = :new || substr(source, length(:old) + 1),
    storage_location = :new || substr(storage_location, length(:old) + 1)
    WHERE substr(source, 1, length(:old) + 1) = :old || '/'
"""

_MOVE_EXPERIMENT = "UPDATE experiments SET artifact_location = :new WHERE experiment_id = :id"


def relocate(home: Home) -> None:
    """Point the artifacts of our own experiments in the store of `home` to its folder, all at once or none.

    Locations that others gave stay as they are. Raises InputError where the store cannot be read or written.
    """
    try:
        with closing(sqlite3.connect(home.database, timeout=60)) as connection, connection:
            for experiment, old, folder in connection.execute(_EXPERIMENTS, (Tag.KEY,)).fetchall():
                new = (home.artifacts / folder).as_uri()
                # The same two folders at the end, in another place.
                if old != new and old.startswith("file:///") and old.split("/")[-2:] == new.split("/")[-2:]:
                    row = {"id": experiment, "old": old, "new": new}
                    connection.execute(_MOVE_RUNS, row)
                    connection.execute(_MOVE_MODELS, row)
                    connection.execute(_MOVE_EXPERIMENT, row)
    except sqlite3.Error as error:
        raise InputError(
            f"cannot use the record {str(home.database)!r}: {error}; it must be MLflow's, and writable where the home "
            "was moved"
        ) from None
