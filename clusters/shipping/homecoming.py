"""What comes home from a cluster: the folders of studies, without what only a running search needs."""

import base64
import io
import re
import shutil
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from ..errors import ClusterError
from ..job import Job
from ..jobs import PREFIX, JobState

#: What stays where it is: checkpoints, locks, what is still to be told to MLflow, Ray's own files.
STAYS = ("checkpoints", "tune", "driver.lock", "leave", "spool*", "*.tmp")

_BEGIN, _END = "--- fullspectrum files ---", "--- end of files ---"

#: Most bytes, packed, that come home by the log of a job.
MOST_BYTES = 200 * 2**20

# Runs on the head, which may have no more of us than Python.
_PACK = f"""
import base64, fnmatch, io, pathlib, sys, tarfile
home, studies = pathlib.Path(sys.argv[1]), sys.argv[2:]
missing = [study for study in studies if not (home / study).is_dir()]
if missing:
    sys.exit(f"there is no study {{missing[0]}} in {{str(home)!r}} on the cluster")
stays = {STAYS!r}
def wanted(entry):
    return None if any(fnmatch.fnmatch(pathlib.PurePath(entry.name).name, name) for name in stays) else entry
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as archive:
    for study in studies:
        archive.add(home / study, study, filter=wanted)
if len(packed.getvalue()) > {MOST_BYTES}:
    sys.exit(f"{{len(packed.getvalue()) / 2**20:,.0f}} MiB would come home, but at most {MOST_BYTES // 2**20} MiB do")
print({_BEGIN!r})
print(base64.encodebytes(packed.getvalue()).decode(), end="")
print({_END!r})
"""


def copy_home(home: Path, studies: Sequence[str], to: Path) -> None:
    """Copy the folders of studies (ids) from a home folder that this machine sees to the home `to`."""
    if home.resolve() == to.resolve():
        raise ClusterError(f"the files are in {str(to)!r} already; give another folder with -o")
    for study in studies:
        shutil.copytree(home / study, to / study, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*STAYS))


def packing(home: str, studies: Sequence[str]) -> Job:
    """Return the job that packs the folders of studies, and prints them as text."""
    return Job(f"{PREFIX}fetch-{uuid.uuid4().hex[:12]}", ["python", "-c", _PACK, home, *studies], grace_seconds=3)


def unpack(text: str, to: Path, ended: JobState) -> None:
    """Write what the job of `packing` printed into the home `to`. Raise ClusterError where it failed."""
    packed = re.search(f"{_BEGIN}\n(.*?){_END}", text, re.DOTALL)
    if ended.phase != "succeeded" or not packed:
        last = (text.strip().splitlines() or [ended.message])[-1]
        raise ClusterError(f"cannot fetch: {last}")
    to.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed[1])), mode="r:gz") as archive:
        # Refuses names that lead out of the folder, links and devices.
        archive.extractall(to, filter="data")
