"""A score of your own: a term for each layer, and a value for the network."""

import math

import numpy as np
from fullspectrum.spectral import Coordinate
from fullspectrum.spectral.objectives import Objective


class WeakestLayer(Objective):
    """The least Δr_imdb of all layers: a network is no better than its worst expander."""

    label = "weakest imdb"

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return Δr_imdb of each layer; nan where it is undefined."""
        return {name: layer.imdb for name, layer in coordinate.layers.items()}

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return the derivative of each term by (Δr, Δr_imdb, λ, λ_imsg): 1 for Δr_imdb, where it is defined."""
        return {name: np.array([0, not math.isnan(term), 0, 0], float) for name, term in self.terms(coordinate).items()}

    def value(self, coordinate: Coordinate) -> float:
        """Return the least term; nan where no layer defines it."""
        return min((term for term in self.terms(coordinate).values() if not math.isnan(term)), default=math.nan)
