"""The folder in which datasets are looked for by name."""

import os
from pathlib import Path

from ..errors import InputError

ROOT_VARIABLE = "FULLSPECTRUM_DATA"


def data_root() -> Path:
    """Return `$FULLSPECTRUM_DATA` (default: ./data) as an absolute path."""
    return Path(os.environ.get(ROOT_VARIABLE) or "data").absolute()


def unpacked(name: str, folder: str, how: str) -> Path:
    """Return the path of `folder` under the root. Raises `InputError`, which says `how` to get it, where it is not."""
    path = data_root() / folder
    if not os.path.isdir(path):
        raise InputError(
            f"{name}: there is no {path}, and it cannot be downloaded; {how}, or point {ROOT_VARIABLE} at where that is"
        )
    return path
