"""The full-spectrum coordinate of a mask set, and its distances."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import numpy_arrays
from .layer import FIELDS, LayerCoordinate, layer_coordinate
from .references import REFERENCE_POINTS, Layer, defined_mean

if TYPE_CHECKING:
    import pandas

REFERENCES = tuple(REFERENCE_POINTS)
AGGREGATES = ("sum", "mean_vector")

_COLUMNS = tuple(field.name for field in fields(LayerCoordinate))

__all__ = ["AGGREGATES", "FIELDS", "REFERENCES", "Coordinate", "LayerCoordinate", "full_spectrum"]


def full_spectrum(masks: Mapping[str, Any], weights: Mapping[str, Any] | None) -> "Coordinate":
    """The coordinate of a mask set (Hoang, Kundu, Liu and Wang, NeurIPS 2023).

    Both arguments map parameter names to numpy arrays or torch tensors, on any device and of any real type, of shape
    (out, in, …) with at least two axes. Masks hold 0 (removed) and 1 (kept). `weights` holds every name of `masks` with
    the same shape, and may hold more; None scores the masks alone and leaves the weighted fields nan.
    Raises ValueError, naming the parameters, where that does not hold or a weight is not finite.
    """
    masks, weights = numpy_arrays(masks, weights)
    scored = {name: layer_coordinate(mask, weights and weights[name]) for name, mask in masks.items()}
    settings = {}
    for name, mask in masks.items():
        # Copied: the references are computed when first asked for, and the weights may have been trained by then.
        values = None if weights is None else weights[name].copy()
        settings[name] = Layer(name, mask.shape, int(np.count_nonzero(mask)), values)
    return Coordinate(scored, settings)


class Coordinate:
    """The coordinate of a mask set, layer by layer. Made by `full_spectrum`.

    `layers` maps each parameter name to its `LayerCoordinate`, in the order of the masks. Undefined is nan there; it
    contributes 0 to a distance and nothing to a mean, so `defined_layers` should be reported beside either.
    """

    def __init__(self, layers: dict[str, LayerCoordinate], settings: dict[str, Layer]) -> None:
        self.layers = layers
        self._settings = settings
        self._references: dict[str, np.ndarray] = {}

    def __repr__(self) -> str:
        return f"Coordinate({len(self.layers)} layers, {self.defined_layers} defined)"

    @property
    def defined_layers(self) -> int:
        """The number of layers with all four components defined."""
        return sum(layer.defined for layer in self.layers.values())

    def mean(self, field: str) -> float:
        """The mean of a field of `LayerCoordinate` over the layers where it is defined; nan where it is in none."""
        _check_choice("field", field, _COLUMNS)
        return defined_mean(np.array([getattr(layer, field) for layer in self.layers.values()], dtype=np.float64))

    def l2_distance(self, reference: str = "origin", aggregate: str = "sum") -> float:
        """The full-spectrum L2 distance, at least 0, from a reference point x_ref.

        `reference`: "origin"; "random", the mean coordinate of uniform random masks of the same layer sparsities on the
        same weights; "dense", the coordinate of the unpruned network. `aggregate`: "sum" of ‖x − x_ref‖₂ over the
        layers, or "mean_vector", the norm of the mean of x − x_ref over all layers. A component that is undefined in x
        or in x_ref contributes 0. The references are computed once, when first asked for: "random" takes about eight
        times as long as the score itself. Raises ValueError for other names.
        """
        _check_choice("reference", reference, REFERENCES)
        _check_choice("aggregate", aggregate, AGGREGATES)
        differences = np.nan_to_num(self._vectors() - self._reference(reference), nan=0.0)
        if aggregate == "mean_vector":
            return float(np.linalg.norm(differences.mean(axis=0)))
        return float(np.linalg.norm(differences, axis=1).sum())

    def to_frame(self) -> "pandas.DataFrame":
        """A table with a row for each layer, indexed by its name, and a column for each field of `LayerCoordinate`."""
        import pandas  # here, because scoring a mask must not need it

        rows = [[getattr(layer, column) for column in _COLUMNS] for layer in self.layers.values()]
        return pandas.DataFrame(rows, index=pandas.Index(self.layers, name="layer"), columns=list(_COLUMNS))

    def to_dict(self) -> dict[str, dict[str, float | int | None]]:
        """The same table as {layer: {field: value}}, None where undefined: ready for JSON."""
        return {name: layer.to_dict() for name, layer in self.layers.items()}

    def _vectors(self) -> np.ndarray:
        return np.array([layer.vector for layer in self.layers.values()])

    def _reference(self, name: str) -> np.ndarray:
        if name not in self._references:
            self._references[name] = np.array([REFERENCE_POINTS[name](layer) for layer in self._settings.values()])
        return self._references[name]


def _check_choice(what: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, but got {given!r}.")
