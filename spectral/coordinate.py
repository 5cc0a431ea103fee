"""The full-spectrum coordinate of a mask set, and its distances."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import checked_arrays
from .cache import SpectralCache
from .chance import DRAWS, ZScore, chance
from .evaluation import usable_cores
from .layer import FIELDS, LayerCoordinate
from .masked import Layer, kept_weights
from .scoring import scored

if TYPE_CHECKING:
    import pandas

#: Points that a distance is measured from.
REFERENCES = ("origin", "random", "dense")

#: Ways in which the distances of layers make one of the network.
AGGREGATES = ("sum", "mean_vector")

_COLUMNS = tuple(field.name for field in fields(LayerCoordinate))

__all__ = ["AGGREGATES", "FIELDS", "REFERENCES", "Coordinate", "LayerCoordinate", "full_spectra", "full_spectrum"]


def full_spectrum(
    masks: Mapping[str, Any],
    weights: Mapping[str, Any] | None,
    groups: Mapping[str, int] | None = None,
    inputs_first: Collection[str] = (),
    *,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
    cache: SpectralCache | None = None,
) -> "Coordinate":
    """Return the coordinate of a mask set (Hoang, Kundu, Liu and Wang, NeurIPS 2023).

    `masks` and `weights` map parameter names to numpy arrays or torch tensors, on any device and of any real type, of
    shape (out, in, …) with at least two axes. Masks hold 0 (removed) and 1 (kept). `weights` holds every name of
    `masks` with the same shape, and may hold more; None scores the masks alone and leaves the weighted fields nan.
    `groups` says which parameters are of grouped convolutions, (out, in/groups, …), with how many groups;
    `inputs_first` which have the input on the first axis: embeddings (num, dim) and transposed convolutions (in,
    out/groups, …). Both may name more than `masks` holds.
    `threads` defaults to the cores that the process may use, and does not change the values. `progress` is called with
    the name of each layer that is done. Layers that were scored on the CPU with the same `cache` before are not
    computed again; by default it lasts as long as the coordinate.
    Where the weights, or without weights the masks, are on a CUDA device, all is computed there, and nothing but the
    results comes to the host: the same values to 8 digits or more, whose last bits may differ from run to run.
    Raises ValueError, naming the parameters, where that does not hold or a weight is not finite.
    """
    return full_spectra([masks], weights, groups, inputs_first, threads=threads, progress=progress, cache=cache)[0]


def full_spectra(
    candidates: Sequence[Mapping[str, Any]],
    weights: Mapping[str, Any] | None,
    groups: Mapping[str, int] | None = None,
    inputs_first: Collection[str] = (),
    *,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
    cache: SpectralCache | None = None,
) -> list["Coordinate"]:
    """Return the coordinates of several mask sets on the same weights, all layers of all of them in the same batches.

    The values are those of `full_spectrum` for each; see there. Of small layers it takes less time. A layer that
    candidates have in common is computed once; with a `cache` of the caller's, once in all calls that are given it.
    """
    groups, cache = groups or {}, cache or SpectralCache()
    threads = usable_cores() if threads is None else max(1, threads)
    checked, tables = [], []
    shared: dict[tuple[str, tuple[int, ...]], Layer] = {}  # by candidates, so that the weights are kept once
    for masks in candidates:
        masks, values = checked_arrays(masks, weights)
        _check_groups(masks, groups)
        checked.append(masks)
        tables.append(
            [
                shared.setdefault(
                    (name, mask.shape),
                    Layer(name, mask.shape, values and values[name], int(groups.get(name, 1)), name in inputs_first),
                )
                for name, mask in masks.items()
            ]
        )
    masked = (
        pair for layers, masks in zip(tables, checked, strict=True) for pair in zip(layers, masks.values(), strict=True)
    )
    found = scored(masked, threads, progress, cache)
    coordinates = []
    owned = {layer: _own(layer) for layer in shared.values()}
    for layers, masks in zip(tables, checked, strict=True):
        table = dict(zip(masks, found, strict=False))
        kept = [kept_weights(mask) for mask in masks.values()]
        coordinates.append(Coordinate(table, [owned[layer] for layer in layers], kept, threads, cache))
    return coordinates


def _check_groups(masks: Mapping[str, np.ndarray], groups: Mapping[str, int]) -> None:
    for name, count in groups.items():
        if name in masks and (count < 1 or len(masks[name]) % count):
            raise ValueError(
                f"groups of {name} must divide its first axis, {len(masks[name])}, but are {count}: "
                "give the groups of the convolution that the mask is of"
            )


def _own(layer: Layer) -> Layer:
    """Return the layer with weights that nobody changes.

    The references are computed when first asked for, and the weights may have been trained by then. Weights that are
    read-only are not copied.
    """
    if layer.weights is None:
        return layer
    if not isinstance(layer.weights, np.ndarray):
        return replace(layer, weights=layer.weights.clone())
    return replace(layer, weights=layer.weights.copy()) if layer.weights.flags.writeable else layer


class Coordinate:
    """The coordinate of a mask set, layer by layer. Made by `full_spectrum`.

    `layers` maps each parameter name to its `LayerCoordinate`, in the order of the masks. Undefined is nan there; it
    contributes 0 to a distance and nothing to a mean, so `defined_layers` should be reported beside either.
    """

    def __init__(
        self,
        layers: dict[str, LayerCoordinate],
        unmasked: list[Layer],
        kept: list[int],
        threads: int,
        cache: SpectralCache,
    ) -> None:
        self.layers = layers
        self._unmasked, self._kept, self._threads, self._cache = unmasked, kept, threads, cache
        self._references: dict[str, np.ndarray] = {}

    def __repr__(self) -> str:
        return f"Coordinate({len(self.layers)} layers, {self.defined_layers} defined)"

    @property
    def defined_layers(self) -> int:
        """The number of layers with all four components defined."""
        return sum(layer.defined for layer in self.layers.values())

    def mean(self, field: str) -> float:
        """Return the mean of a field of `LayerCoordinate` over the layers that define it; nan where none does."""
        _check_choice("field", field, _COLUMNS)
        values = [getattr(layer, field) for layer in self.layers.values()]
        defined = [value for value in values if not isnan(value)]
        return float(np.mean(defined)) if defined else nan

    def l2_distance(self, reference: str = "origin", aggregate: str = "sum") -> float:
        """Return the full-spectrum L2 distance, at least 0, from a reference point x_ref.

        `reference`: "origin"; "random", the mean coordinate of uniform random masks of the same layer sparsities on the
        same weights; "dense", the coordinate of the unpruned network. `aggregate`: "sum" of ‖x − x_ref‖₂ over the
        layers, or "mean_vector", the norm of the mean of x − x_ref over all layers. A component that is undefined in x
        or in x_ref contributes 0. The references are computed once, when first asked for: "random" takes as long as
        `chance.DRAWS` scores. Raises ValueError for other names.
        """
        return float(self._distance(self._vectors(), reference, aggregate))

    def layer_distances(self, reference: str = "origin") -> dict[str, float]:
        """Return ‖x − x_ref‖₂ of each layer, by name: the terms of `l2_distance` with aggregate "sum". See there."""
        offsets = np.array(list(self.layer_offsets(reference).values()))
        return dict(zip(self.layers, np.linalg.norm(offsets, axis=1).tolist(), strict=True))

    def layer_offsets(self, reference: str = "origin") -> dict[str, np.ndarray]:
        """Return x − x_ref of each layer, by name: float64 of shape (4,), 0 where it is undefined in either."""
        return dict(zip(self.layers, self._differences(self._vectors(), reference), strict=True))

    def chance(self, draws: int = DRAWS, progress: Callable[[str], None] | None = None) -> dict[str, dict[str, ZScore]]:
        """Return each of `FIELDS` beside uniform random masks that keep as many weights, by layer and field.

        The `z` of a `ZScore` says how many standard deviations above chance the mask lies. Chance is a simulation
        of `draws` masks (at least 2), seeded, on the same weights; the cache keeps it, so that candidates with the same
        counts share it. With so few draws z is an estimate: its own relative error is about 1/√(2·(draws − 1)).
        `progress` is called with a layer's name for each of its draws. Raises ValueError for fewer than 2 draws.
        """
        vectors = self._chance(draws, progress)
        return {
            name: {
                field: ZScore.among(value, vectors[:, number, axis])
                for axis, (field, value) in enumerate(zip(FIELDS, layer.vector.tolist(), strict=True))
            }
            for number, (name, layer) in enumerate(self.layers.items())
        }

    def distance_chance(
        self,
        reference: str = "origin",
        aggregate: str = "sum",
        draws: int = DRAWS,
        progress: Callable[[str], None] | None = None,
    ) -> ZScore:
        """Return the `l2_distance` beside that of random masks of the same layer sparsities; see there and `chance`.

        From the reference "random" other random masks are measured than those whose mean it is: those lie nearer to it.
        """
        first = DRAWS if reference == "random" else 0
        distances = self._distance(self._chance(draws, progress, first), reference, aggregate)
        return ZScore.among(self.l2_distance(reference, aggregate), distances)

    def to_frame(self) -> "pandas.DataFrame":
        """Return a table with a row for each layer, indexed by its name, and a column for each field of a layer.

        Raises ImportError where pandas is not installed.
        """
        # Imported late: scoring a mask must not need it.
        try:
            import pandas
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install 'fullspectrum[pandas]'") from None

        rows = [[getattr(layer, column) for column in _COLUMNS] for layer in self.layers.values()]
        return pandas.DataFrame(rows, index=pandas.Index(self.layers, name="layer"), columns=list(_COLUMNS))

    def to_dict(self) -> dict[str, dict[str, float | int | None]]:
        """Return the same table as {layer: {field: value}}, None where undefined: ready for JSON."""
        return {name: layer.to_dict() for name, layer in self.layers.items()}

    def _vectors(self) -> np.ndarray:
        return np.array([layer.vector for layer in self.layers.values()])

    def _reference(self, name: str) -> np.ndarray:
        if name not in self._references:
            points = {"origin": self._origin, "random": self._random, "dense": self._dense}
            self._references[name] = points[name]()
        return self._references[name]

    def _origin(self) -> np.ndarray:
        return np.zeros((len(self.layers), len(FIELDS)))

    def _random(self) -> np.ndarray:
        vectors = self._chance(DRAWS)
        defined = ~np.isnan(vectors)
        means = np.where(defined, vectors, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
        means[~defined.any(axis=0)] = nan
        # An unpruned layer has one random mask, which is at distance 0: exactly, not to rounding.
        return np.asarray(np.where((vectors == vectors[0]).all(axis=0), vectors[0], means))

    def _dense(self) -> np.ndarray:
        masked = ((layer, np.broadcast_to(True, layer.shape)) for layer in self._unmasked)
        return np.array([one.vector for one in scored(masked, self._threads, cache=self._cache)])

    def _chance(self, draws: int, progress: Callable[[str], None] | None = None, first: int = 0) -> np.ndarray:
        if draws < 2:
            raise ValueError(f"draws must be at least 2, for a standard deviation, but are {draws}")
        return chance(self._unmasked, self._kept, draws, first, self._threads, progress, self._cache)

    def _differences(self, vectors: np.ndarray, reference: str) -> np.ndarray:
        _check_choice("reference", reference, REFERENCES)
        return np.asarray(np.nan_to_num(vectors - self._reference(reference), nan=0.0))

    def _distance(self, vectors: np.ndarray, reference: str, aggregate: str) -> np.ndarray:
        """Return the distance of coordinates of shape (…, layers, 4), shape (…)."""
        _check_choice("aggregate", aggregate, AGGREGATES)
        differences = self._differences(vectors, reference)
        if aggregate == "mean_vector":
            return np.asarray(np.linalg.norm(differences.mean(axis=-2), axis=-1))
        return np.asarray(np.linalg.norm(differences, axis=-1).sum(axis=-1))


def _check_choice(what: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, but got {given!r}")
