"""The files of a job as a text that a shell unpacks."""

import base64
import gzip
import io
import tarfile
import textwrap

from ..errors import ClusterError
from ..job import Job
from .jobfiles import files_by_path

#: The most bytes of an archive within a task, which travels by command lines.
_MOST = 64 * 1024


def unpacking(job: Job, folder: str) -> list[str]:
    """Return the shell lines that make `folder` with the files of a job: always the same for the same files.

    Raise ClusterError where they are larger than 64 KiB when they are packed.
    """
    lines = [f"mkdir -p {folder}"]
    files = files_by_path(job)
    if not files:
        return lines
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    data = gzip.compress(packed.getvalue(), mtime=0)
    if len(data) > _MOST:
        raise ClusterError(
            f"the files of {job.folder} have {len(data) // 1024} KiB when they are packed, but a task takes 64 KiB; "
            "put modules into the image, and data onto shared storage"
        )
    text = textwrap.fill(base64.b64encode(data).decode(), 100)
    return [*lines, f"base64 --decode << END | tar --extract --gzip --directory {folder}", text, "END"]
