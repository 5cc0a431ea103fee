"""Scores by which masks of one sparsity are chosen: a term for each layer, and a value for the network."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isnan, log, nan
from statistics import fmean

import numpy as np

from .coordinate import FIELDS, Coordinate
from .variants import AUTHORS


class Objective(ABC):
    """A score of a mask set, read off its coordinate; higher is better.

    It is a pure function of the coordinate, and can be pickled. `testing.ScoreContract` tests these promises.
    """

    label: str
    """The name in tables and sentences, on one line."""

    variant: str | None = None
    """The variant that it reads the coordinate in, whatever the study's; None: the one that the coordinate is in."""

    @abstractmethod
    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return each layer's part in the score, by parameter name in the coordinate's order; nan where undefined."""

    @abstractmethod
    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return the derivative of each layer's term by its coordinate: float64 of shape (4,), by parameter name.

        The coordinate is that of `variant`, in the order of `FIELDS`; 0 where the component or the term is undefined,
        and where the term does not depend on the spectrum.
        """

    @abstractmethod
    def value(self, coordinate: Coordinate) -> float:
        """Return the score of the network: finite, or nan where no layer defines it."""


@dataclass(frozen=True)
class Distance(Objective):
    """The full-spectrum L2 distance (Hoang, Kundu, Liu and Wang, NeurIPS 2023), at least 0.

    `reference`, `aggregate` and `variant` are those of `Coordinate.l2_distance`. A component that is undefined
    contributes 0, so terms and value are always defined.
    """

    reference: str = "origin"
    aggregate: str = "sum"
    variant: str | None = None
    label = "distance"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return ‖x − x_ref‖₂ of each layer; the value is their sum where `aggregate` is "sum"."""
        return coordinate.in_variant(self.variant).layer_distances(self.reference)

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return (x − x_ref)/‖x − x_ref‖₂ of each layer, 0 in the reference itself; below it a component is to fall."""
        offsets = coordinate.in_variant(self.variant).layer_offsets(self.reference)
        return {name: offset / (np.linalg.norm(offset) or 1.0) for name, offset in offsets.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return the distance of the network."""
        return coordinate.l2_distance(self.reference, self.aggregate, self.variant)


@dataclass(frozen=True)
class AuthorsDistance(Distance):
    """The distance as the paper's first author ran it: a norm from the origin in each layer, in the authors' variant.

    Recorded beside the study's own distance, whatever its reference, aggregate and variant.
    """

    variant: str | None = AUTHORS.name
    label = "authors' distance"


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


class WithoutSpectrum(Objective):
    """A score that does not depend on the spectrum, so that ascent cannot raise it."""

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return 0."""
        return {name: np.zeros(len(FIELDS)) for name in coordinate.layers}


@dataclass(frozen=True)
class LayerDensity(WithoutSpectrum):
    """Density (1 − sparsity) averaged over all layers, large and small alike, in [0, 1].

    It depends on how many weights each layer keeps, and not on which: the control that a spectral score must beat. Over
    the published settings of Hoang et al. (ICLR 2023) it ranks final accuracy as well as Δr_imdb does.
    """

    label = "layer density"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return the fraction of weights kept in each layer."""
        return {name: 1 - layer.sparsity for name, layer in coordinate.layers.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return its mean over all layers."""
        return fmean(self.terms(coordinate).values())


@dataclass(frozen=True)
class LogDensity(WithoutSpectrum):
    """The natural logarithm of density averaged over layers, at most 0: layer density that minds the sparsest layers.

    Of a layer without a kept weight it is undefined; such a mask never trains.
    """

    label = "log layer density"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return ln(1 − sparsity) of each layer; nan where nothing is kept."""
        return {
            name: log(1 - layer.sparsity) if layer.sparsity < 1 else nan for name, layer in coordinate.layers.items()
        }

    def value(self, coordinate: Coordinate) -> float:
        """Return its mean over the layers that keep a weight."""
        return _defined_mean(self.terms(coordinate))


@dataclass(frozen=True)
class KeptMagnitude(WithoutSpectrum):
    """Σ|W∘M| over Σ|W|, both over all prunable layers, in [0, 1]: the magnitude that pruning leaves.

    It means something for weights that have been trained, as magnitude pruning does (Han et al., NeurIPS 2015).
    """

    label = "kept magnitude"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return Σ|W∘M| of each layer over Σ|W| of all layers; nan without weights, and where all weights are 0."""
        total = sum(coordinate.magnitudes.values())
        return {name: kept / total if total else nan for name, kept in coordinate.kept_magnitudes.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return the sum of the terms."""
        return sum(self.terms(coordinate).values())


@dataclass(frozen=True)
class LiveChannels(WithoutSpectrum):
    """The share of all inputs and outputs of prunable layers with a kept weight on a path, in [0, 1].

    A path leads from the network's input to an output; see the guard, which counts them for `Coordinate.channels`.
    """

    label = "live channels"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return the share of each layer's own inputs and outputs; nan where nobody counted them."""
        counts = {name: coordinate.channels.get(name, (0, 0)) for name in coordinate.layers}
        return {name: live / total if total else nan for name, (live, total) in counts.items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return the share of the network; nan where nobody counted them."""
        return coordinate.live_channels


def _defined_mean(terms: dict[str, float]) -> float:
    defined = [term for term in terms.values() if not isnan(term)]
    return fmean(defined) if defined else nan


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

#: The distance of the authors' working code.
L2_AUTHORS = AuthorsDistance()

#: The control.
LAYER_DENSITY = LayerDensity()

#: Scores that read no spectrum.
LOG_DENSITY, KEPT_MAGNITUDE, LIVE_CHANNELS = LogDensity(), KeptMagnitude(), LiveChannels()

#: By the names that a study's `objective` takes.
OBJECTIVES: dict[str, Objective] = {
    "l2": L2,
    "imdb": IMDB,
    "ramanujan_gap": RAMANUJAN_GAP,
    "weighted_gap": WEIGHTED_GAP,
    "imsg": IMSG,
    "l2_authors": L2_AUTHORS,
    "layer_density": LAYER_DENSITY,
    "log_density": LOG_DENSITY,
    "live_channels": LIVE_CHANNELS,
    "kept_magnitude": KEPT_MAGNITUDE,
}
