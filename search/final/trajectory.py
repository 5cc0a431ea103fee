"""The coordinate of masks that change, in the course of a full training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ...models.errors import first_line
from ...models.layers import layout, prunable
from ...models.training import MaskedTraining
from ...spectral.coordinate import FIELDS, full_spectrum
from ...spectral.variants import PAPER
from ..config.study import Study
from ..console import warn
from ..files import storage_failure
from ..protocol.report import finite
from ..protocol.training import CoordinateProgress, TrainingProgress, TrainingReport
from ..report.trajectoryplot import plot_trajectory
from ..scores.registry import DISTANCE


@dataclass(frozen=True)
class Trajectory:
    """When the coordinate is measured in the course of a full training, and how."""

    every: int
    """Iterations between two measurements, >= 1."""
    reference: str
    aggregate: str
    threads: int
    variant: str = PAPER.name
    start: Mapping[str, Any] | None = None
    """The initial weights of the network, from which the reference "start" is computed."""

    @classmethod
    def of(cls, study: Study, start: Mapping[str, Any] | None = None) -> Self | None:
        """Return how `study` measures it, of a network with initial weights `start`; None where it does not."""
        if not (every := study.record.coordinate_every):
            return None
        start = start if study.reference == "start" else None
        return cls(every, study.reference, study.aggregate, study.resources.cpus, study.variant, start)

    def iterations(self, training: MaskedTraining) -> list[int]:
        """Return the iterations at which it is measured, none of them passed: the start, every so many, and the end.

        None where the masks of the training never change.
        """
        total = training.total_iterations
        points = [*range(0, total, self.every), total] if training.masks_change else []
        return [iteration for iteration in points if iteration >= training.iteration]

    def measure(self, training: MaskedTraining) -> dict[str, float]:
        """Return the values of the masks and weights of now, by name; nothing where a weight is not finite.

        They are the distance, the mean of each component over the layers that define it, if any does, the number of
        layers that define all of them, and the sparsity of the masks.
        """
        masks, weights = training.masks, {name: w.detach() for name, w in prunable(training.model).items()}
        # A training whose weights are infinite is about to diverge, which is for itself to find.
        if masks is None or not all(weight.isfinite().all() for weight in weights.values()):
            return {}
        axes = layout(training.model)
        coordinate = full_spectrum(
            masks,
            weights,
            axes.groups,
            axes.inputs_first,
            threads=self.threads,
            variant=self.variant,
            start=self.start and {name: self.start[name] for name in weights},
        )
        values = {
            DISTANCE: coordinate.l2_distance(self.reference, self.aggregate),
            **{field: coordinate.mean(field) for field in FIELDS},
            "defined_layers": coordinate.defined_layers,
            "sparsity": masks.sparsity,
        }
        return finite(values)


def draw(reports: Sequence[TrainingReport], title: str, path: Path) -> None:
    """Write the picture of the coordinate over time of what a full training reported, if it reported any.

    A failure to draw it is a warning, as the training has its results without it; a storage failure is raised.
    """
    coordinates = {each.iteration: each.values for each in reports if isinstance(each, CoordinateProgress)}
    accuracies = {each.iteration: each.accuracy_val for each in reports if isinstance(each, TrainingProgress)}
    if not coordinates:
        return
    try:
        plot_trajectory(coordinates, accuracies, title, path)
    except Exception as error:
        if storage_failure(error):
            raise
        warn(f"{path.name} is not drawn: {first_line(error)}")
