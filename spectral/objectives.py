"""Scores by which masks of one sparsity are chosen: a term for each layer, and a value for the network."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import fmean

from .coordinate import Coordinate


class Objective(ABC):
    """A score of a mask set, read off its coordinate; higher is better."""

    label: str
    """What tables and sentences call it."""

    @abstractmethod
    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Each layer's part in the score, by parameter name; nan where the layer does not define it."""

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
