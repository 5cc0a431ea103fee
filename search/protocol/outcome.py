"""How a trial ended."""

from enum import StrEnum


class Outcome(StrEnum):
    """The real end of a trial, as its record says it."""

    FINISHED = "finished"
    STOPPED_BY_GATE = "stopped-by-gate"
    STOPPED_EARLY = "stopped-early"
    DIVERGED = "diverged"
    REJECTED = "rejected"
    FAILED = "failed"
