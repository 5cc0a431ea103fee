"""The files of a study: where they lie, and how they are written."""

import errno
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.errors import InputError
from ..models.files import write_atomically
from .names import Artifact

#: An object as JSON holds it: values by name, which whoever reads them knows one by one.
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """The folder that holds everything a search writes: the tracking store and one folder for each study."""

    path: Path
    """Made absolute: a network or a data set of the user's may change the working directory."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())

    @property
    def database(self) -> Path:
        """The file of the default MLflow tracking store, SQLite; the same by whatever link the home is reached."""
        # Not Path.resolve, which raises where links go round in a circle.
        return Path(os.path.realpath(self.path)) / "mlflow.db"

    @property
    def tracking_uri(self) -> str:
        """The URI of the default MLflow tracking store."""
        return sqlite_uri(self.database)

    @property
    def artifacts(self) -> Path:
        """Artifacts of the default tracking store."""
        return self.database.with_name("artifacts")

    @property
    def checks(self) -> Path:
        """The folder of the checks of single masks, one folder each."""
        return self.path / "checks"

    def create(self) -> "Home":
        """Make the folder. Raises InputError where it cannot be written, or named in a URL."""
        try:
            str(self.database).encode()
        except UnicodeEncodeError:
            raise InputError(
                f"the name of the home folder {str(self.path)!r} is not UTF-8, so that MLflow cannot name it in a URL; "
                "choose another with --home or FULLSPECTRUM_HOME"
            ) from None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise InputError(
                f"cannot write to the home folder {str(self.path)!r}: {error.strerror}; "
                "choose another with --home or FULLSPECTRUM_HOME"
            ) from None
        return self

    def study(self, study_id: str, files: str | None = None) -> "StudyFolder":
        """Return the folder of one study, shared through the object store `files` where there is one."""
        return StudyFolder(self.path / study_id, files)

    def found(self, pattern: str) -> list[Path]:
        """Return the files of the home that match a pattern, sorted. Raises InputError where it cannot be read."""
        try:
            return sorted(self.path.glob(pattern))
        except OSError as error:
            raise InputError(
                f"cannot read the home folder {str(self.path)!r}: {error.strerror}; "
                "choose another with --home or FULLSPECTRUM_HOME"
            ) from None

    def find(self, prefix: str) -> "StudyFolder":
        """Return the folder of the study whose id begins with `prefix`. Raises InputError unless it is the only one."""
        known = [settings.parent.name for settings in self.found(f"*/{Artifact.STUDY}")]
        found = [name for name in known if prefix and name.startswith(prefix)]
        if len(found) != 1:
            listed = f"the studies there are {', '.join(known)}" if known else "there is no study there yet"
            problem = "more than one study begins with" if found else "no study"
            raise InputError(f"{problem} {prefix!r} in {str(self.path)!r}; {listed}")
        return self.study(found[0])


@dataclass(frozen=True)
class StudyFolder:
    """The files of one study."""

    path: Path
    files: str | None = None
    """The URI of the object store through which machines share them; None: all machines see the folder."""

    @property
    def absolute(self) -> "StudyFolder":
        """The same folder by its absolute path: workers have working directories of their own."""
        return StudyFolder(self.path.resolve(), self.files)

    @property
    def settings(self) -> Path:
        """The study's settings that are not at their defaults."""
        return self.path / Artifact.STUDY

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the study's settings, which hold no password, for their owner alone: they say where the study is."""
        write_json(self.settings, dict(settings))
        self.settings.chmod(0o600)

    @property
    def journal(self) -> Path:
        """Optuna's journal, which holds what is true of every trial."""
        return self.path / "journal.log"

    @property
    def spool(self) -> Path:
        """The events on their way to MLflow."""
        return self.path / "spool.jsonl"

    @property
    def initial_weights(self) -> Path:
        """The state that the study starts from."""
        return self.path / Artifact.INITIAL_WEIGHTS

    def pretrained_weights(self, iterations: int) -> Path:
        """Return the file of the state after so many dense iterations; of none, that of the initial weights."""
        return self.path / Artifact.pretrained_weights(iterations)

    @property
    def origins(self) -> Path:
        """What the sources are made from."""
        return self.path / "sources.json"

    @property
    def scores(self) -> Path:
        """The folder of the scores of sources that train."""
        return self.path / "scores"

    @property
    def lock(self) -> Path:
        """The lock that the driver holds; it names the driver."""
        return self.path / "driver.lock"

    @property
    def leave(self) -> Path:
        """The marker that is there while the workers are to save a checkpoint and leave."""
        return self.path / "leave"

    @property
    def heartbeat(self) -> Path:
        """The driver's state, written every few seconds, for `fullspectrum status`."""
        return self.path / "board.json"

    @property
    def all_checkpoints(self) -> Path:
        """The folder of the folders of checkpoints."""
        return self.path / "checkpoints"

    def checkpoints(self, label: str) -> Path:
        """Return the folder of checkpoints of `trial N`, or of the full training `final-LABEL`; gone after its end."""
        return self.all_checkpoints / label.replace(" ", "-")

    def moved(self, path: Path, to: "StudyFolder") -> Path:
        """Return the place in another copy of this folder that `path` has in this one."""
        return to.path / path.relative_to(self.path)

    @property
    def trials(self) -> Path:
        """The folder of the folders of trials."""
        return self.path / "trials"

    def trial(self, number: int) -> Path:
        """Return the folder of one trial: mask, candidates, coordinate; of a mask trained in full, its z-score too."""
        return self.trials / f"{number:05d}"

    @property
    def baselines(self) -> Path:
        """The folder of the folders of baselines."""
        return self.path / "baselines"

    def baseline(self, label: str) -> Path:
        """Return the file of the masks of one baseline."""
        return self.baselines / label / Artifact.MASK

    @property
    def best(self) -> Path:
        """The folder of the best mask, with its weights and its recipe."""
        return self.path / Artifact.BEST

    @property
    def report(self) -> Path:
        """The folder of tables and plots of the whole study."""
        return self.path / "report"


#: Errors of a file system that cannot be written to: the study stops, and goes on when that is mended.
_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}

#: The same, of SQLite.
_SQLITE_FAILURES = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")

#: The same, of PostgreSQL.
_POSTGRES_FULL = "53100"


def storage_failure(error: BaseException | None) -> str | None:
    """Return why the storage cannot be written to, where that is the cause of `error`; else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FAILURES:
            return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        if getattr(error, "sqlite_errorname", "").startswith(_SQLITE_FAILURES):
            return f"the study's database cannot be written to: {error}"
        if getattr(error, "sqlstate", None) == _POSTGRES_FULL:
            return "the study's database has no space left"
        error = error.__cause__ or error.__context__
    return None


def sqlite_file(database: str) -> Path | None:
    """Return the file of a SQLite database, by its URL; None where it has none, and for any other URL."""
    if not database.startswith("sqlite"):
        return None
    # Imported here: not every command that knows folders needs it.
    from sqlalchemy.engine import make_url

    url = make_url(database)
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
        return None
    return Path(url.database)


def sqlite_uri(file: Path) -> str:
    """Return the URL of a SQLite database, by its file; what a URL gives another meaning is quoted."""
    if not set("%?") & set(str(file)):
        return f"sqlite:///{file}"
    from sqlalchemy.engine import URL

    # With the driver's name: of a URL that begins with sqlite:/// MLflow makes the folder as it is quoted.
    return URL.create("sqlite+pysqlite", database=str(file)).render_as_string()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all, and makes the folder; numbers that are not finite become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(plain(value), allow_nan=False).encode())


def plain(value: Any) -> Any:
    """Return `value` with numbers that are not finite replaced by None: JSON has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
