"""The outcome of a trial."""

from enum import StrEnum


class Outcome(StrEnum):
    """The real end of a trial, as it is recorded."""

    FINISHED = "finished"
    STOPPED_BY_GATE = "stopped-by-gate"
    STOPPED_EARLY = "stopped-early"
    DIVERGED = "diverged"
    REJECTED = "rejected"
    FAILED = "failed"
