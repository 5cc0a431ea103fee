"""The files of a job, and how they stand in a ConfigMap of Kubernetes."""

import base64
from collections.abc import Mapping
from typing import Any

from ..errors import ClusterError
from ..job import Job

#: The most bytes that a ConfigMap may hold.
_MOST = 1024 * 1024

#: Folders that hold nothing that a job needs.
_LEFT_OUT = {"__pycache__", ".git", ".venv"}


def files_by_path(job: Job) -> dict[str, bytes]:
    """Return the content of each file of a job by its path in the folder, in the order of the paths."""
    if job.folder is None:
        return {}
    paths = {path.relative_to(job.folder): path for path in job.folder.rglob("*") if path.is_file()}
    kept = sorted(relative for relative in paths if not _LEFT_OUT & set(relative.parts))
    return {relative.as_posix(): paths[relative].read_bytes() for relative in kept}


def config_map(job: Job, more: Mapping[str, str]) -> dict[str, Any]:
    """Return the ConfigMap of a job's folder and of `more` files, without its metadata.

    Raise ClusterError where they are larger than 1 MiB.
    """
    texts, binaries, size = dict(more), {}, sum(len(text.encode()) for text in more.values())
    keys = keys_by_path(job)
    for path, content in files_by_path(job).items():
        try:
            texts[keys[path]] = content.decode()
        except UnicodeDecodeError:
            binaries[keys[path]] = base64.b64encode(content).decode()
        size += len(content)
        if size > _MOST:
            raise ClusterError(
                f"the files of {job.folder} are larger than 1 MiB, which is all that Kubernetes takes with a job "
                f"({path} is one of them); put modules into the image, and data onto shared storage"
            )
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": texts} | ({"binaryData": binaries} if binaries else {})


def keys_by_path(job: Job) -> dict[str, str]:
    """Return the key in the ConfigMap of each file of a job: one without slashes and letters that keys may not have."""
    return {path: f"file-{number}-{_key(path)}"[:250] for number, path in enumerate(files_by_path(job))}


def _key(path: str) -> str:
    name = path.rpartition("/")[2]
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
