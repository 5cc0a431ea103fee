"""The folder that travels: the study file, the user's modules, small files."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..errors import ClusterError

#: Most bytes that travel. What is larger belongs on the storage that all nodes see.
MOST_BYTES = 50 * 2**20


def stage(files: Mapping[str, Path], folder: Path) -> None:
    """Copy `files` into `folder`, under the relative names that they are given. Raise ClusterError for too much."""
    sizes = {}
    for name, file in files.items():
        try:
            sizes[name] = file.stat().st_size
        except OSError as error:
            raise ClusterError(f"cannot read {str(file)!r}, which would travel: {error.strerror}") from None
    if sum(sizes.values()) > MOST_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ClusterError(
            f"{sum(sizes.values()) / 2**20:,.0f} MiB would travel, {largest} the most of it, but at most "
            f"{MOST_BYTES // 2**20} MiB do; put it on storage that all nodes see, and name it by its absolute path"
        )
    for name, file in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
