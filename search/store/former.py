"""The storage that a study was kept in before, where `tracking.storage` names another one now."""

import json

from ...models.errors import InputError
from ..config.secrets import without_secret
from ..config.study import Study
from ..config.studyfile import parse
from ..files import StudyFolder
from .ledger import Ledger


def check_former_storage(study: Study, folder: StudyFolder) -> None:
    """Raise InputError where `study` has trials in the storage that its `folder` names, and that is another one.

    To be called where the storage of now holds none: a study that goes on elsewhere would begin anew, and say nothing.
    """
    if not folder.settings.exists():
        return
    former = parse(json.loads(folder.settings.read_text()))
    if former.tracking.storage == _kept(study) or not (trials := _trials(former, folder)):
        return
    where = "the database that tracking.storage named before" if former.tracking.storage else str(folder.journal)
    raise InputError(
        f"study {study.id} keeps its {trials} trials in {where!r}, and tracking.storage now names another place, "
        "which holds none of them; go on with the storage of before, or make another study, for example with "
        "--set seed=1"
    )


def _kept(study: Study) -> str | None:
    """Return the storage of a study as its folder keeps it."""
    return study.tracking.storage and without_secret(study.tracking.storage)


def _trials(former: Study, folder: StudyFolder) -> int:
    """Return the number of trials in the storage of before. Raises InputError where it does not answer."""
    if former.tracking.storage is None and not folder.journal.exists():
        return 0
    try:
        return Ledger.of_folder(former, folder).proposed
    except InputError as error:
        raise InputError(
            f"study {former.id} was kept in another storage before, which cannot be asked for its trials: {error}; "
            f"bring it back, or remove {str(folder.path)!r} to begin anew"
        ) from error
