"""A full training: the entry that is to be trained, and the reports on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...models.masks import MaskSet
from ..files import StudyFolder
from ..names import Metric
from .label import Label
from .outcome import Outcome
from .proposal import Values


@dataclass(frozen=True)
class Entry:
    """One full training to be done."""

    label: Label
    masks: MaskSet | None
    """None trains the dense network."""
    training: Values = field(default_factory=dict)
    """Values of the searched training settings."""
    init_seed: int | None = None
    """Seed of other initial weights than those the study starts from."""
    pretraining: int = 0
    """Dense iterations before the training under the mask begins."""
    weights: Path | None = None
    """The weights that these came to, where the training starts from others than the initial weights."""
    cost: int = 0
    """Optimizer steps that it needed before its own training, pretraining and those of the mask's source among them."""
    iterations: int | None = None
    """Iterations of the training; None: as many as the study's epochs have."""
    repeat: int = 0
    """Number of the repetition, among several that differ in their batches alone."""
    file: Path | None = None
    """Where a baseline's masks lie."""
    of: Label | None = None
    """The trial whose mask a baseline checks, or whose cost it has."""
    own_weights: Path | None = None
    """File for the weights that it starts from, where these are others than the study's; None: not kept."""
    ends: Path | None = None
    """Folder for the masks of its end and for the picture of its coordinate over time, where the mask changes while it
    trains, and for the weights of its end; None: not kept."""

    def moved(self, folder: StudyFolder, to: StudyFolder) -> "Entry":
        """Return the entry on a machine that has a copy of the study's `folder`: with the places of its files there."""
        if folder.path == to.path:
            return self

        def moved(path: Path | None) -> Path | None:
            return None if path is None else folder.moved(path, to)

        return replace(self, weights=moved(self.weights), own_weights=moved(self.own_weights), ends=moved(self.ends))

    def cost_of(self, end: "TrainingEnd") -> int | None:
        """Return the optimizer steps that this end needed from the initial weights on; None where its worker died."""
        return None if end.iteration is None else self.cost + end.iteration


@dataclass(frozen=True)
class TrainingProgress:
    """A measurement in the course of a full training."""

    iteration: int
    """Iterations (optimizer steps) so far."""
    accuracy_val: float
    """Validation accuracy, in [0, 1]."""

    @property
    def metrics(self) -> dict[str, float]:
        """The measurement by its name in the record."""
        return {Metric.ACCURACY_VAL_FINAL: self.accuracy_val}


@dataclass(frozen=True)
class CoordinateProgress:
    """The coordinate of masks and weights in the course of a full training, where the masks change."""

    iteration: int
    """Iterations (optimizer steps) so far; 0 at the start."""
    values: Mapping[str, float]
    """The distance, the mean of each component over the layers that define it, and what masks they are of, by name."""

    @property
    def metrics(self) -> dict[str, float]:
        """The values by their names in the record."""
        return {Metric.coordinate(name): value for name, value in self.values.items()}


@dataclass(frozen=True)
class TrainingEnd:
    """The end of a full training."""

    outcome: Outcome
    iteration: int | None = None
    """Iterations that it came to; None where its worker died."""
    accuracy_val: float | None = None
    """Validation accuracy, in [0, 1]; None where the training diverged or failed."""
    accuracy_final: float | None = None
    """Accuracy on the test split, which decides nothing; None where the training diverged or failed."""
    reason: str | None = None
    """The reason why it did not finish."""
    masks: MaskSet | None = field(default=None, compare=False)
    """The masks of the end, where they are others than those of the start."""

    @property
    def metrics(self) -> dict[str, float]:
        """The known values of the end by their names in the record."""
        return self.measured | ({} if self.iteration is None else {Metric.ITERATIONS: self.iteration})

    @property
    def measured(self) -> dict[str, float]:
        """The accuracies of the end, where they are known, by their names in the record."""
        known = {Metric.ACCURACY_VAL_FINAL: self.accuracy_val, Metric.ACCURACY_FINAL: self.accuracy_final}
        return {name: value for name, value in known.items() if value is not None}


TrainingReport = TrainingProgress | CoordinateProgress | TrainingEnd
