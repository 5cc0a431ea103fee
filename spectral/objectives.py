"""Scores by which masks of one sparsity are chosen: a term for each layer, and a value for the network."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from .coordinate import FIELDS, Coordinate


class Objective(ABC):
    """A score of a mask set, read off its coordinate; higher is better."""

    label: str
    """What tables and sentences call it."""

    @abstractmethod
    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Each layer's part in the score, by parameter name; nan where the layer does not define it."""

    @abstractmethod
    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """How each layer's term changes with its coordinate: float64 of shape (4,), by parameter name.

        In the order of `FIELDS`; 0 where the component or the term is undefined, and where the term knows no spectrum.
        """

    @abstractmethod
    def value(self, coordinate: Coordinate) -> float:
        """The score of the network; nan where no layer defines it."""


@dataclass(frozen=True)
class Distance(Objective):
    """The full-spectrum L2 distance (Hoang, Kundu, Liu and Wang, NeurIPS 2023), at least 0.

    `reference` and `aggregate` are those of `Coordinate.l2_distance`. What is undefined in a layer contributes 0, so
    terms and value are always defined.
    """

    reference: str = "origin"
    aggregate: str = "sum"
    label = "distance"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """‖x − x_ref‖₂ of each layer; the value is their sum where `aggregate` is "sum"."""
        return coordinate.layer_distances(self.reference)

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """(x − x_ref)/‖x − x_ref‖₂ of each layer, 0 in the reference itself; a Δr below its reference is to fall."""
        offsets = coordinate.layer_offsets(self.reference)
        return {name: offset / (np.linalg.norm(offset) or 1.0) for name, offset in offsets.items()}

    def value(self, coordinate: Coordinate) -> float:
        """The distance of the network."""
        return coordinate.l2_distance(self.reference, self.aggregate)


@dataclass(frozen=True)
class FieldMean(Objective):
    """One component of the coordinate, averaged over the layers that define it."""

    field: str
    label: str

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """The component in each layer."""
        return {name: getattr(layer, self.field) for name, layer in coordinate.layers.items()}

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """1 for the component, where it is defined."""
        axis = np.array([field == self.field for field in FIELDS])
        return {name: axis * ~np.isnan(layer.vector) * 1.0 for name, layer in coordinate.layers.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Its mean over the layers that define it."""
        return coordinate.mean(self.field)


@dataclass(frozen=True)
class LayerDensity(Objective):
    """Density (1 − sparsity) averaged over all layers, large and small alike, in [0, 1].

    It knows how many weights each layer keeps and nothing of which: the control that a spectral score must beat. Over
    the published settings of Hoang et al. (ICLR 2023) it ranks final accuracy as well as Δr_imdb does.
    """

    label = "layer density"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """The fraction of weights kept in each layer."""
        return {name: 1 - layer.sparsity for name, layer in coordinate.layers.items()}

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """0: no choice of weights changes it."""
        return {name: np.zeros(len(FIELDS)) for name in coordinate.layers}

    def value(self, coordinate: Coordinate) -> float:
        """Its mean over all layers."""
        return fmean(self.terms(coordinate).values())


#: By the names that a study's `objective` takes. Δr and Δr_imdb are of Hoang, Liu, Marculescu and Wang (ICLR 2023),
#: λ, λ_imsg and the distance of Hoang, Kundu, Liu and Wang (NeurIPS 2023).
OBJECTIVES: dict[str, Objective] = {
    "l2": Distance(),
    "imdb": FieldMean("imdb", "mean imdb"),
    "ramanujan_gap": FieldMean("ramanujan_gap", "mean Ramanujan gap"),
    "weighted_gap": FieldMean("weighted_gap", "mean weighted gap"),
    "imsg": FieldMean("imsg", "mean imsg"),
    "layer_density": LayerDensity(),
}
