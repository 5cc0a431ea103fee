"""The checks of files, names and settings that a command makes before its slow imports."""

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import InputError

if TYPE_CHECKING:
    from ..config.study import Study

#: Settings that a mask file names where the command line does not.
_OF_THE_FILE = ("sparsity", "seed")


def check_readable(*paths: Path | None) -> None:
    """Raise InputError, naming it, for a file of masks or weights that is missing, a folder, or empty; None is none."""
    for path in filter(None, paths):
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: is a folder or a device; give the path of a file")
        if not status.st_size:
            raise InputError(f"{path}: not a safetensors file (it has no header)")


def check_sources(study: "Study") -> None:
    """Raise InputError for a source `file:PATH` of `study`, climbed from or not, whose file cannot be read."""
    for name in study.search.sources:
        _, colon, path = name.removeprefix("ascent:").partition("file:")
        if colon:
            check_readable(Path(path))


def check_option(settings: Iterable[str]) -> None:
    """Raise InputError for a setting of pretraining, which commands on one mask have an option for."""
    for setting in settings:
        if setting.partition("=")[0].partition(".")[0].strip() == "pretraining":
            raise InputError(f"--set {setting}: here pretraining is an option; give --pretraining K")


def check_training(command: str, model: str, data: str, settings: Iterable[str]) -> None:
    """Raise InputError for settings that `command` cannot train with, whatever the mask file will say."""
    from ..config.studyfile import study_of

    settings = list(settings)
    check_option(settings)
    settings = [setting for setting in settings if setting.partition("=")[0].strip() not in _OF_THE_FILE]
    # Whether anything is pretrained the mask file may say.
    own = {"model": model, "data": data, "sparsity": 0.0, "pretraining": {"iterations": 1}}
    searched = study_of(own, settings).training.searched()
    if searched:
        raise InputError(f"{command} needs a value for each setting, but {', '.join(searched)} is a table")
