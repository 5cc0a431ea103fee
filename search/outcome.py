"""How a trial ended."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The real end of a trial, as its record says it."""

    FINISHED = "finished"
    STOPPED_BY_GATE = "stopped-by-gate"
    STOPPED_EARLY = "stopped-early"
    DIVERGED = "diverged"
    REJECTED = "rejected"
    FAILED = "failed"


def outcome_of(result: Mapping[str, Any] | None, gate: str | None, failed: bool) -> Outcome:
    """The outcome of a trial from its last result, the gate's decision on it, and whether it raised.

    A trial that ends by itself says so in its last result; one that does not was stopped, by the gate or at a rung.
    """
    if failed or not result:
        return Outcome.FAILED
    if "outcome" in result:
        return Outcome(result["outcome"])
    return Outcome.STOPPED_BY_GATE if gate == "stopped" else Outcome.STOPPED_EARLY
