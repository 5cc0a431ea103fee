"""The points that a coordinate's distance is measured from."""

import hashlib
from dataclasses import dataclass

import numpy as np

from .layer import FIELDS, layer_coordinate

# Uniform random masks whose mean coordinate is the random reference.
REFERENCE_DRAWS = 8


@dataclass(frozen=True, eq=False)
class Layer:
    """What the reference points of a layer depend on: its name (the seed), shape, kept weights and values.

    `kept` is the number of weights that the scored mask keeps; `weights` has the layer's shape, or is None.
    """

    name: str
    shape: tuple[int, ...]
    kept: int
    weights: np.ndarray | None


def origin(layer: Layer) -> np.ndarray:
    """The zero point, float64 of shape (4,), in the order of `FIELDS`."""
    return np.zeros(len(FIELDS))


def dense(layer: Layer) -> np.ndarray:
    """The coordinate of the unpruned layer, shape (4,), nan where undefined."""
    return layer_coordinate(np.ones(layer.shape, dtype=bool), layer.weights).vector


def random(layer: Layer) -> np.ndarray:
    """The mean coordinate of `REFERENCE_DRAWS` uniform random masks that keep as many weights, on the same weights.

    Shape (4,). A component is the mean over the draws where it is defined, nan where it is in none.
    """
    if layer.kept == np.prod(layer.shape):
        return dense(layer)  # every draw is the dense mask
    draws = [layer_coordinate(_draw(layer, number), layer.weights).vector for number in range(REFERENCE_DRAWS)]
    return np.array([defined_mean(component) for component in np.transpose(draws)])


def defined_mean(values: np.ndarray) -> float:
    """The mean of the values that are not nan; nan where there are none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _draw(layer: Layer, number: int) -> np.ndarray:
    # Seeded by a digest of the name: the built-in hash of a string differs from process to process.
    digest = hashlib.sha256(layer.name.encode()).digest()
    generator = np.random.default_rng([int.from_bytes(digest, "little"), number])
    mask = np.zeros(int(np.prod(layer.shape)), dtype=bool)
    mask[generator.choice(mask.size, layer.kept, replace=False, shuffle=False)] = True
    return mask.reshape(layer.shape)


REFERENCE_POINTS = {"origin": origin, "random": random, "dense": dense}
