"""Opening a study for the one driver that is to run it."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping

from ...models.errors import InputError
from ..config.study import Study
from ..console import warn
from ..files import StudyFolder, write_json
from ..remote.backup import restore
from ..remote.mirror import mirror_of
from .filesystem import lock_warning
from .former import check_former_storage
from .ledger import Ledger
from .lock import study_lock
from .storage import open_storage
from .writer import LedgerWriter, take_over

#: Keys and values that say what the masks of a source are made from.
Origin = Mapping[str, str]


@contextlib.contextmanager
def opened(
    study: Study,
    folder: StudyFolder,
    origins: Mapping[str, Origin],
    resume: bool = False,
    notice: Callable[[str], None] = lambda line: None,
) -> Iterator[LedgerWriter]:
    """Hold the lock on a study and yield what writes to its ledger.

    `origins` are those of the study's sources; `notice` gets a line where a driver before this one died. Raises
    InputError where the study has been run and is not to be resumed, where another process runs it, where its trials
    are in another storage, where sources are made from something else than it began with, and where part of what it
    knew is lost.
    """
    with study_lock(folder, study) as lock:
        if lock.stale:
            notice(lock.stale)
        if warning := lock_warning(folder.path.parent):
            warn(warning)
        restore(folder)
        ledger = Ledger(study, open_storage(study.tracking.storage, folder.journal))
        if not ledger.proposed:
            check_former_storage(study, folder)
        _check_begun(folder, ledger.proposed, resume)
        _check_origins(folder, origins, begun=ledger.proposed > 0)
        writer = take_over(ledger, lock.check)
        lock.give_up_when(lambda: writer.storage.give_up())
        yield writer


def _check_begun(folder: StudyFolder, proposed: int, resume: bool) -> None:
    """Raise InputError where the study has been run and is not to be resumed, and where trials of it are lost."""
    if proposed and not resume:
        raise InputError(
            f"this study ({folder.path.name}) has been run already: {proposed} trials under {str(folder.path)!r}; "
            "go on with --resume, or make another one, for example with --set seed=1"
        )
    last = max((int(name) for name in mirror_of(folder).names(folder.trials) if name.isdecimal()), default=-1)
    if last >= proposed:
        there, folders = f"{str(folder.path)!r}", "that folder"
        if folder.files:
            there, folders = f"{there} or {folder.files!r}", "both folders"
        raise InputError(
            f"the ledger of study {folder.path.name} holds {proposed} trials, but there are files of trial "
            f"{last} under {there}: part of it is lost; bring it back, or remove {folders} to begin anew"
        )


def _check_origins(folder: StudyFolder, origins: Mapping[str, Origin], begun: bool) -> None:
    """Keep on file what the sources are made from; raise InputError where a study has `begun` with something else."""
    file = folder.origins
    before = json.loads(file.read_text()) if begun and file.exists() else origins
    for name, origin in origins.items():
        if origin != before.get(name, origin):
            raise InputError(
                f"source {name} is not what this study ({folder.path.name}) began with: {_words(before[name])} then, "
                f"{_words(origin)} now; bring the old one back, or make another study, for example with --set seed=1"
            )
    write_json(file, dict(origins))


def _words(origin: Origin) -> str:
    return ", ".join(f"{key} {value[:12]}" for key, value in origin.items())
