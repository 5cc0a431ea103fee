"""The reports of a worker on a trial, and their JSON form."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from ..files import JsonObject
from ..names import Metric, Seconds
from .outcome import Outcome

_DIGEST, _OUTCOME, _REASON = "digest", "outcome", "reason"


@dataclass(frozen=True)
class Scored:
    """The best candidate of a trial, its first result."""

    metrics: Mapping[str, float]
    """Scores, sparsities, what the guard measured and the cost so far, by their names in the record; all finite."""
    digest: str
    """Digest of the mask."""
    source_seconds: float = field(default=0.0, compare=False)
    """Seconds for the scores of its source, or for waiting for them."""
    seconds: float = field(default=0.0, compare=False)
    """Seconds for drawing, guarding and scoring the candidates."""
    iteration: ClassVar[int] = 0

    @property
    def objective(self) -> float:
        """The score that chose the candidate."""
        return self.metrics[Metric.OBJECTIVE]

    def to_dict(self) -> JsonObject:
        """Return the result as it is kept."""
        seconds = {Seconds.SOURCE: self.source_seconds, Seconds.SCORING: self.seconds}
        return {Metric.ITERATIONS: self.iteration, **self.metrics, _DIGEST: self.digest, **seconds}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the result of `to_dict`'s values."""
        others = (Metric.ITERATIONS, _DIGEST, Seconds.SOURCE, Seconds.SCORING)
        metrics = {name: value for name, value in kept.items() if name not in others}
        return cls(metrics, kept[_DIGEST], kept.get(Seconds.SOURCE, 0.0), kept.get(Seconds.SCORING, 0.0))


@dataclass(frozen=True)
class Measured:
    """A measurement in the course of the warm-up."""

    iteration: int
    """Iterations (optimizer steps) of the warm-up so far, >= 1."""
    accuracy: float
    """Validation accuracy, in [0, 1]."""
    loss: float
    """Mean training loss since the last measurement."""
    seconds: float = field(default=0.0, compare=False)
    """Seconds of training since the last measurement."""
    validation_seconds: float = field(default=0.0, compare=False)
    """Seconds of the measurement itself."""

    @property
    def metrics(self) -> dict[str, float]:
        """The measurement by the names of the record."""
        return {Metric.ACCURACY: self.accuracy, Metric.LOSS: self.loss, Metric.ITERATIONS: self.iteration}

    def to_dict(self) -> JsonObject:
        """Return the measurement as it is kept."""
        return self.metrics | {Seconds.TRAINING: self.seconds, Seconds.VALIDATION: self.validation_seconds}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the measurement of `to_dict`'s values."""
        seconds = kept.get(Seconds.TRAINING, 0.0), kept.get(Seconds.VALIDATION, 0.0)
        return cls(kept[Metric.ITERATIONS], kept[Metric.ACCURACY], kept[Metric.LOSS], *seconds)


@dataclass(frozen=True)
class Ended:
    """The end of a trial, as its worker reports it; gate and rungs may still decide otherwise."""

    outcome: Outcome
    iteration: int = 0
    """Iterations of the warm-up that the trial came to."""
    reason: str | None = None
    """The reason, where it did not finish."""

    def to_dict(self) -> JsonObject:
        """Return the end as it is kept."""
        reason = {} if self.reason is None else {_REASON: self.reason}
        return {_OUTCOME: self.outcome.value, **reason, Metric.ITERATIONS: self.iteration}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the end of `to_dict`'s values."""
        return cls(Outcome(kept[_OUTCOME]), kept[Metric.ITERATIONS], kept.get(_REASON))


@dataclass(frozen=True)
class LeftOnRequest:
    """The worker was asked to leave; the trial goes on from its checkpoint when the study is resumed."""

    def to_dict(self) -> JsonObject:
        """Return no values."""
        return {}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the report."""
        return cls()


@dataclass(frozen=True)
class StorageFailed:
    """The file system, or the study's database, cannot be written to: the fault of no trial."""

    reason: str

    def to_dict(self) -> JsonObject:
        """Return the reason."""
        return {_REASON: self.reason}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the report of `to_dict`'s values."""
        return cls(kept[_REASON])


Report = Scored | Measured | Ended | LeftOnRequest | StorageFailed

_KINDS: dict[str, type[Report]] = {
    "scored": Scored,
    "measured": Measured,
    "ended": Ended,
    "left": LeftOnRequest,
    "storage_failed": StorageFailed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(reports: Iterable[Report]) -> str:
    """Return what a worker sends after a step of a trial: one or more reports, in order."""
    return json.dumps([{_NAMES[type(report)]: report.to_dict()} for report in reports])


def from_json(text: str) -> list[Report]:
    """Return the reports of `to_json`."""
    return [_KINDS[name].from_dict(kept) for each in json.loads(text) for name, kept in each.items()]


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return those of the metrics that are finite, as Python's own numbers: only these reach samplers and record."""
    plain = {name: value.item() if isinstance(value, np.number) else value for name, value in metrics.items()}
    return {name: value for name, value in plain.items() if math.isfinite(value)}
