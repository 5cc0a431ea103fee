"""Scores by which masks of one sparsity are chosen: a term for each layer, and a value for the network."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from .coordinate import FIELDS, Coordinate


class Objective(ABC):
    """A score of a mask set, read off its coordinate; higher is better.

    It is a pure function of the coordinate, and can be pickled. `testing.ScoreContract` tests these promises.
    """

    label: str
    """The name in tables and sentences, on one line."""

    @abstractmethod
    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return each layer's part in the score, by parameter name in the coordinate's order; nan where undefined."""

    @abstractmethod
    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return the derivative of each layer's term by its coordinate: float64 of shape (4,), by parameter name.

        In the order of `FIELDS`; 0 where the component or the term is undefined, and where the term does not depend on
        the spectrum.
        """

    @abstractmethod
    def value(self, coordinate: Coordinate) -> float:
        """Return the score of the network: finite, or nan where no layer defines it."""


@dataclass(frozen=True)
class Distance(Objective):
    """The full-spectrum L2 distance (Hoang, Kundu, Liu and Wang, NeurIPS 2023), at least 0.

    `reference` and `aggregate` are those of `Coordinate.l2_distance`. A component that is undefined contributes 0, so
    terms and value are always defined.
    """

    reference: str = "origin"
    aggregate: str = "sum"
    label = "distance"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return ‖x − x_ref‖₂ of each layer; the value is their sum where `aggregate` is "sum"."""
        return coordinate.layer_distances(self.reference)

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return (x − x_ref)/‖x − x_ref‖₂ of each layer, 0 in the reference itself; below it a component is to fall."""
        offsets = coordinate.layer_offsets(self.reference)
        return {name: offset / (np.linalg.norm(offset) or 1.0) for name, offset in offsets.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return the distance of the network."""
        return coordinate.l2_distance(self.reference, self.aggregate)


@dataclass(frozen=True)
class FieldMean(Objective):
    """One component of the coordinate, averaged over the layers that define it."""

    field: str
    label: str

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return the component in each layer."""
        return {name: getattr(layer, self.field) for name, layer in coordinate.layers.items()}

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return 1 for the component, where it is defined."""
        axis = np.array([field == self.field for field in FIELDS])
        return {name: axis * ~np.isnan(layer.vector) * 1.0 for name, layer in coordinate.layers.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return its mean over the layers that define it."""
        return coordinate.mean(self.field)


@dataclass(frozen=True)
class LayerDensity(Objective):
    """Density (1 − sparsity) averaged over all layers, large and small alike, in [0, 1].

    It depends on how many weights each layer keeps, and not on which: the control that a spectral score must beat. Over
    the published settings of Hoang et al. (ICLR 2023) it ranks final accuracy as well as Δr_imdb does.
    """

    label = "layer density"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return the fraction of weights kept in each layer."""
        return {name: 1 - layer.sparsity for name, layer in coordinate.layers.items()}

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return 0: no choice of weights changes it."""
        return {name: np.zeros(len(FIELDS)) for name in coordinate.layers}

    def value(self, coordinate: Coordinate) -> float:
        """Return its mean over all layers."""
        return fmean(self.terms(coordinate).values())


#: The distance from the origin (Hoang, Kundu, Liu and Wang, NeurIPS 2023).
L2 = Distance()

#: Δr_imdb (Hoang, Liu, Marculescu and Wang, ICLR 2023).
IMDB = FieldMean("imdb", "mean imdb")

#: Δr (Hoang, Liu, Marculescu and Wang, ICLR 2023).
RAMANUJAN_GAP = FieldMean("ramanujan_gap", "mean Ramanujan gap")

#: λ (Hoang, Kundu, Liu and Wang, NeurIPS 2023).
WEIGHTED_GAP = FieldMean("weighted_gap", "mean weighted gap")

#: λ_imsg (Hoang, Kundu, Liu and Wang, NeurIPS 2023).
IMSG = FieldMean("imsg", "mean imsg")

#: The control.
LAYER_DENSITY = LayerDensity()

#: By the names that a study's `objective` takes.
OBJECTIVES: dict[str, Objective] = {
    "l2": L2,
    "imdb": IMDB,
    "ramanujan_gap": RAMANUJAN_GAP,
    "weighted_gap": WEIGHTED_GAP,
    "imsg": IMSG,
    "layer_density": LAYER_DENSITY,
}
