"""A search from Python."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import InputError

if TYPE_CHECKING:
    from .config.study import Study
    from .report.summary import StudyResult


def search(
    study: "Study",
    home: str | os.PathLike[str] = "runs",
    *,
    address: str | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> "StudyResult":
    """Run `study` under the folder `home`, on this machine or on the Ray cluster at `address`; return its result.

    It prints its progress on stdout, unless `quiet`. With `resume` it goes on with what an interrupted search left.
    Raises InputError for settings that cannot be used and for a family, which is several studies; see `run_study` for
    more.
    """
    # Here, because Ray and torch take seconds to import, and a study can be described without them.
    from .console import lose_nothing
    from .files import Home
    from .screen.console import Screen
    from .study import run_study

    if len(members := study.members()) > 1:
        raise InputError(f"the study is a family of {len(members)}; search each of study.members() by itself")
    lose_nothing()
    return run_study(study, Home(Path(home)), Screen(quiet=quiet), address, resume)
