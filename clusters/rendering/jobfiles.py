"""The files of a job as a ConfigMap of Kubernetes."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ClusterError
from ..job import Job

#: The most bytes that a ConfigMap may hold.
_MOST = 1024 * 1024

#: Folders that hold nothing that a job needs.
_LEFT_OUT = {"__pycache__", ".git", ".venv"}


def config_map(job: Job, more: Mapping[str, str]) -> dict[str, Any]:
    """Return the ConfigMap of a job's folder and of `more` files, without its metadata.

    Raise ClusterError where they are larger than 1 MiB.
    """
    texts, binaries, size = dict(more), {}, sum(len(text.encode()) for text in more.values())
    for key, path in _files(job):
        content = path.read_bytes()
        try:
            texts[key] = content.decode()
        except UnicodeDecodeError:
            binaries[key] = base64.b64encode(content).decode()
        size += len(content)
        if size > _MOST:
            raise ClusterError(
                f"the files of {job.folder} are larger than 1 MiB, which is all that Kubernetes takes with a job "
                f"({path.name} is one of them); put modules into the image, and data onto shared storage"
            )
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": texts} | ({"binaryData": binaries} if binaries else {})


def paths_by_key(job: Job) -> dict[str, str]:
    """Return where in its folder each file of a job stands, by its key in the ConfigMap."""
    return {key: path.relative_to(job.folder or "").as_posix() for key, path in _files(job)}


def _files(job: Job) -> Iterator[tuple[str, Path]]:
    """Yield key and path of each file. A key has no slashes, and its path may have what a key has not."""
    if job.folder is None:
        return
    paths = sorted(path for path in job.folder.rglob("*") if path.is_file())
    for number, path in enumerate(paths):
        parts = path.relative_to(job.folder).parts
        if not _LEFT_OUT & set(parts):
            kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.name)
            yield f"file-{number}-{kept}"[:250], path
