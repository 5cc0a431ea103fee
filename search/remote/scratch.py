"""The copy of a study's files on the machine of a worker that does not see the driver's."""

import os
import secrets
import tempfile
from pathlib import Path

from ...models.errors import InputError
from ..files import StudyFolder
from .objectstore import store_at

#: Names the folder in which workers keep their copies; without it, one in that for temporary files.
VARIABLE = "FULLSPECTRUM_SCRATCH"

_BEGUN = "begun"


def begin(folder: StudyFolder) -> None:
    """Mark in the store that a study has begun there, unless it has; for the driver, before workers ask `at_worker`."""
    if folder.files is None:
        return
    store, name = store_at(folder.files), f"{folder.path.name}/{_BEGUN}"
    file = folder.path / _BEGUN
    if not store.get(name, file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(secrets.token_hex(8))
        store.put(file, name)


def at_worker(folder: StudyFolder) -> StudyFolder:
    """Return the folder of a study as a worker sees it: the driver's own, or this machine's copy of what the store has.

    Workers of one machine share the copy. Raises InputError where the folder for it cannot be used.
    """
    if folder.files is None:
        return folder.absolute
    base = _base()
    name = folder.path.name
    # What is left of a study of the same id that was begun elsewhere, or anew, is not taken for this one's.
    begun = base / f"{name}.{secrets.token_hex(4)}"
    store_at(folder.files).get(f"{name}/{_BEGUN}", begun)
    token = begun.read_text()
    begun.unlink()
    return StudyFolder(base / token / name, folder.files)


def of_process(folder: StudyFolder) -> StudyFolder:
    """Return the folder for what no other worker of this machine reads, by what `at_worker` returned.

    It can be forgotten when another worker, of this machine too, may have taken the same trial up.
    """
    if folder.files is None:
        return folder
    own = f"process-{os.getpid()}-{secrets.token_hex(4)}"
    return StudyFolder(folder.path.parent / own / folder.path.name, folder.files)


def _base() -> Path:
    """Return the folder of all copies on this machine, closed to other users: a checkpoint decides what is trained."""
    named = os.environ.get(VARIABLE)
    base = Path(named) if named else Path(tempfile.gettempdir()) / f"fullspectrum-{os.geteuid()}"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = base.stat().st_uid == os.geteuid()
    except OSError as error:
        raise InputError(f"cannot use the folder {str(base)!r}: {error.strerror}; name another by {VARIABLE}") from None
    if not mine:
        raise InputError(f"the folder {str(base)!r} belongs to another user; name another by {VARIABLE}")
    return base.resolve()
