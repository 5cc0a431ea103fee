"""The result with which a trial ends: all of its reports that count."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from ..files import JsonObject
from ..names import Metric, Seconds
from .report import Ended, Measured, Scored

Decision = Literal["passed", "control", "stopped"]
"""The gate's decision on a trial."""

_DIGEST, _GATE, _REASON = "digest", "gate", "reason"
_SECONDS = "seconds/"
_SCORES = (Metric.SPECTRAL, Metric.SCORES)
_CANDIDATE = (*_SCORES, Metric.SPARSITIES, Metric.GUARDS, Metric.COSTS)


@dataclass(frozen=True)
class TrialResult:
    """The last value of everything that counts of what a trial reported."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Scores, sparsities, what the guard measured and what the network costs under the chosen mask, and the cost of the
    training so far, by their names in the record."""
    digest: str | None = None
    """Digest of the chosen mask; None where none was chosen."""
    iterations: int = 0
    """Iterations of the warm-up."""
    accuracy: float | None = None
    """Last validation accuracy of the warm-up, in [0, 1]; None where the trial did not train."""
    loss: float | None = None
    gate: Decision | None = None
    """The gate's decision; None where there was nothing to decide."""
    reason: str | None = None
    """The reason why the trial did not finish."""
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    """How long its parts took in its workers, by `names.Seconds`, as far as known; no part of what it came to."""

    @property
    def objective(self) -> float | None:
        """The score that chose the mask; None where none was chosen."""
        return self.metrics.get(Metric.OBJECTIVE)

    @property
    def cost(self) -> int | None:
        """All optimizer steps up to the end of the warm-up, from the initial weights on; None where it has no mask."""
        cost = self.metrics.get(Metric.COST)
        return None if cost is None else int(cost)

    @property
    def scores(self) -> dict[str, float]:
        """The scores by their names, the study's own as "objective"."""
        return {name.partition("/")[2]: value for name, value in self.metrics.items() if name.startswith(_SCORES)}

    @property
    def costs(self) -> dict[str, float]:
        """What the network costs under the chosen mask, by the fields of `models.cost.LayerCost`, as far as known."""
        return {
            name.removeprefix(Metric.COSTS): value
            for name, value in self.metrics.items()
            if name.startswith(Metric.COSTS) and name != Metric.COST
        }

    def after(self, report: Scored | Measured | Ended) -> Self:
        """Return the result once `report` counts too."""
        match report:
            case Scored():
                timed = self._timed({Seconds.SOURCE: report.source_seconds, Seconds.SCORING: report.seconds})
                return replace(timed, metrics=report.metrics, digest=report.digest)
            case Measured():
                timed = self._timed({Seconds.TRAINING: report.seconds, Seconds.VALIDATION: report.validation_seconds})
                return replace(timed.trained(report.iteration), accuracy=report.accuracy, loss=report.loss)
            case Ended():
                return replace(self.trained(report.iteration), reason=report.reason)

    def _timed(self, seconds: Mapping[str, float]) -> Self:
        """Return the result with what a report took beside what those before it took."""
        added = {name: self.seconds.get(name, 0.0) + more for name, more in seconds.items()}
        return replace(self, seconds={**self.seconds, **added})

    def trained(self, iterations: int) -> Self:
        """Return the result with a warm-up of so many iterations, and the cost of it."""
        cost = {} if self.cost is None else {Metric.COST: self.cost + iterations - self.iterations}
        return replace(self, metrics={**self.metrics, **cost}, iterations=iterations)

    def gated(self, gate: Decision | None) -> Self:
        """Return the result with what the gate decided."""
        return replace(self, gate=gate)

    def to_dict(self) -> JsonObject:
        """Return the result as it is kept; what is None is left out."""
        known = {
            _DIGEST: self.digest,
            Metric.ITERATIONS: self.iterations,
            Metric.ACCURACY: self.accuracy,
            Metric.LOSS: self.loss,
            _GATE: self.gate,
            _REASON: self.reason,
        }
        return (
            dict(self.metrics)
            | dict(self.seconds)
            | {name: value for name, value in known.items() if value is not None}
        )

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the result of `to_dict`'s values."""
        return cls(
            {name: value for name, value in kept.items() if name.startswith(_CANDIDATE)},
            kept.get(_DIGEST),
            kept.get(Metric.ITERATIONS, 0),
            kept.get(Metric.ACCURACY),
            kept.get(Metric.LOSS),
            kept.get(_GATE),
            kept.get(_REASON),
            {name: value for name, value in kept.items() if name.startswith(_SECONDS)},
        )
