"""Where a study's files lie, and how they are written."""

import errno
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.errors import InputError
from ..models.files import write_atomically


@dataclass(frozen=True)
class Home:
    """The folder that holds everything a search writes: the tracking store and one folder for each study."""

    path: Path

    @property
    def tracking_uri(self) -> str:
        """The default MLflow tracking store, SQLite."""
        return f"sqlite:///{self.path.resolve() / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Artifacts of the default tracking store."""
        return self.path / "artifacts"

    def create(self) -> "Home":
        """Makes the folder. Raises InputError where it cannot be written."""
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

    def study(self, study_id: str) -> "StudyFolder":
        """The folder of one study."""
        return StudyFolder(self.path / study_id)

    def find(self, prefix: str) -> "StudyFolder":
        """The folder of the study whose id begins with `prefix`. Raises InputError unless there is exactly one."""
        known = sorted(folder.parent.name for folder in self.path.glob("*/study.json"))
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

    @property
    def settings(self) -> Path:
        """The study's settings that are not at their defaults."""
        return self.path / "study.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal: the truth about every trial."""
        return self.path / "journal.log"

    @property
    def spool(self) -> Path:
        """What is on its way to MLflow."""
        return self.path / "spool.jsonl"

    @property
    def initial_weights(self) -> Path:
        """The state that every mask is scored on and every training starts from."""
        return self.path / "init.safetensors"

    @property
    def lock(self) -> Path:
        """Held by the driver; names it."""
        return self.path / "driver.lock"

    @property
    def leave(self) -> Path:
        """Is there while the workers are asked to save a checkpoint and leave."""
        return self.path / "leave"

    @property
    def board(self) -> Path:
        """What the driver says of itself every few seconds, for `fullspectrum status`."""
        return self.path / "board.json"

    def checkpoints(self, label: str) -> Path:
        """Checkpoints of the warm-up of `trial N`, or of the full training `final-LABEL`; gone once it has ended."""
        return self.path / "checkpoints" / label.replace(" ", "-")

    def trial(self, number: int) -> Path:
        """Files of one trial: mask.safetensors, candidates.json, coordinate.json; of a contender, its standing too."""
        return self.path / "trials" / f"{number:05d}"

    def baseline(self, label: str) -> Path:
        """The masks of one baseline."""
        return self.path / "baselines" / label / "mask.safetensors"

    @property
    def report(self) -> Path:
        """Tables and plots of the whole study."""
        return self.path / "report"


#: What is the file system's fault: the study stops, and goes on when that is mended.
_BREAKAGE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}
#: The same, as databases say it.
_SQLITE_BREAKAGE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")
_POSTGRES_FULL = "53100"


def broken(error: BaseException | None) -> str | None:
    """What the file system has against being written to, where that is behind `error`; else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _BREAKAGE:
            return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        if getattr(error, "sqlite_errorname", "").startswith(_SQLITE_BREAKAGE):
            return f"the study's database cannot be written to: {error}"
        if getattr(error, "sqlstate", None) == _POSTGRES_FULL:
            return "the study's database has no space left"
        error = error.__cause__ or error.__context__
    return None


def sqlite_file(database: str) -> Path | None:
    """The file of a SQLite database, by its URL; None where it has none, and for other databases."""
    # Imported here: not every command that knows folders needs it.
    from sqlalchemy.engine import make_url

    url = make_url(database)
    named = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":memory:", "file:"))
    return Path(url.database) if named else None


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as JSON, whole or not at all, and makes the folder; numbers that are not finite become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(plain(value), allow_nan=False).encode())


def plain(value: Any) -> Any:
    """`value` with numbers that are not finite replaced by None: JSON knows neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
