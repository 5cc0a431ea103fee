"""A job that is followed, here or by `fullspectrum launch`, and the ways back to it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from ...console import aside, complain

if TYPE_CHECKING:
    from ....clusters.jobs import JobState
    from ....clusters.targets.target import Target

#: Exit status of a command that left a job running.
_LEFT = 130


def follow_job(place: "Target", name: str, names: str, later: Sequence[str] = ()) -> int:
    """Print the output of a job until it has ended; return the exit status of the command that follows.

    Ctrl-C leaves the job running. `names` are the arguments by which commands mean it, `later` are commands for when it
    has ended.
    """
    try:
        for piece in place.logs(name, follow=True):
            typer.echo(piece, nl=False)
        state = place.job(name)
    except KeyboardInterrupt:
        aside("left it running")
        print_ways_back(names, later)
        return _LEFT
    if state is None:
        complain("the cluster no longer knows the job; launch it again to go on")
        return 1
    return _report(state, names, later)


def print_ways_back(names: str, later: Sequence[str] = ()) -> None:
    """Print the commands by which one comes back to a job."""
    for way in (f"fullspectrum clusters logs {names} --follow", f"fullspectrum clusters stop {names}", *later):
        aside(f"  {way}")


def _report(state: "JobState", names: str, later: Sequence[str]) -> int:
    from ....clusters.jobs import Phase

    if state.phase is Phase.SUCCEEDED:
        aside(f"job {state.id} has ended")
        for way in later:
            aside(f"  {way}")
        return 0
    ended = "was stopped" if state.phase is Phase.STOPPED else f"failed: {state.message}" if state.message else "failed"
    complain(f"job {state.id} {ended}; go on with: fullspectrum launch {names}")
    # A mistake of the study is a mistake here too.
    return 2 if state.exit_status == 2 else 1
