"""The full-spectrum coordinate of a mask set, and its distances."""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .arrays import checked_arrays
from .cache import SpectralCache
from .chance import DRAWS, ZScore
from .evaluation import usable_cores
from .layer import FIELDS, LayerCoordinate, ScoredLayer
from .masked import Layer, kept_weights
from .references import REFERENCES, References, owned, owned_layer
from .scoring import scored
from .variants import PAPER, VARIANTS

if TYPE_CHECKING:
    import pandas

#: Ways in which the distances of layers make one of the network.
AGGREGATES = ("sum", "mean_vector")

_COLUMNS = tuple(field.name for field in fields(LayerCoordinate))

__all__ = [
    "AGGREGATES",
    "FIELDS",
    "REFERENCES",
    "VARIANTS",
    "Coordinate",
    "LayerCoordinate",
    "full_spectra",
    "full_spectrum",
]


def full_spectrum(
    masks: Mapping[str, Any],
    weights: Mapping[str, Any] | None,
    groups: Mapping[str, int] | None = None,
    inputs_first: Collection[str] = (),
    *,
    variant: str = PAPER.name,
    start: Mapping[str, Any] | None = None,
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
    `variant` is "paper", or "authors": the definitions of the first author's working code, see `variants`. `start` maps
    the names to the weights that training started from, where `weights` are those of a later step: they are what the
    reference "start" is computed on, when it is asked for.
    `threads` defaults to the cores that the process may use, and does not change the values. `progress` is called with
    the name of each layer that is done. Layers that were scored on the CPU with the same `cache` before are not
    computed again; by default it lasts as long as the coordinate.
    Where the weights, or without weights the masks, are on a CUDA device, all is computed there, and nothing but the
    results comes to the host: the same values to 8 digits or more, whose last bits may differ from run to run.
    Raises ValueError, naming the parameters, where that does not hold or a weight is not finite.
    """
    return full_spectra(
        [masks],
        weights,
        groups,
        inputs_first,
        variant=variant,
        start=start,
        threads=threads,
        progress=progress,
        cache=cache,
    )[0]


def full_spectra(
    candidates: Sequence[Mapping[str, Any]],
    weights: Mapping[str, Any] | None,
    groups: Mapping[str, int] | None = None,
    inputs_first: Collection[str] = (),
    *,
    variant: str = PAPER.name,
    start: Mapping[str, Any] | None = None,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
    cache: SpectralCache | None = None,
) -> list["Coordinate"]:
    """Return the coordinates of several mask sets on the same weights, all layers of all of them in the same batches.

    The values are those of `full_spectrum` for each; see there. Of small layers it takes less time. A layer that
    candidates have in common is computed once; with a `cache` of the caller's, once in all calls that are given it.
    """
    _check_choice("variant", variant, tuple(VARIANTS))
    groups, cache = groups or {}, cache or SpectralCache()
    threads = usable_cores() if threads is None else max(1, threads)
    checked = []
    tables: dict[bool, list[list[Layer]]] = {False: [], True: []}
    shared: dict[tuple[bool, str, tuple[int, ...]], Layer] = {}  # by candidates, so that the weights are kept once
    for masks in candidates:
        arrays, values = checked_arrays(masks, weights)
        _check_groups(arrays, groups)
        checked.append(arrays)
        given = {False: values} if start is None else {False: values, True: checked_arrays(masks, start)[1]}
        for at_start, those in given.items():
            tables[at_start].append(
                [
                    shared.setdefault(
                        (at_start, name, mask.shape),
                        Layer(name, mask.shape, those and those[name], int(groups.get(name, 1)), name in inputs_first),
                    )
                    for name, mask in arrays.items()
                ]
            )
    masked = (
        pair
        for layers, arrays in zip(tables[False], checked, strict=True)
        for pair in zip(layers, arrays.values(), strict=True)
    )
    found = scored(masked, threads, progress, cache)
    coordinates = []
    ours = {layer: owned_layer(layer) for layer in shared.values()}
    for number, arrays in enumerate(checked):
        table = dict(zip(arrays, found, strict=False))
        kept = [kept_weights(mask) for mask in arrays.values()]
        references = References([ours[layer] for layer in tables[False][number]], kept, threads, cache)
        if start is not None:
            references.start = [ours[layer] for layer in tables[True][number]]
            references.masks = [owned(mask) for mask in arrays.values()]
        coordinates.append(Coordinate(table, references, variant))
    return coordinates


def _check_groups(masks: Mapping[str, np.ndarray], groups: Mapping[str, int]) -> None:
    for name, count in groups.items():
        if name in masks and (count < 1 or len(masks[name]) % count):
            raise ValueError(
                f"groups of {name} must divide its first axis, {len(masks[name])}, but are {count}: "
                "give the groups of the convolution that the mask is of"
            )


class Coordinate:
    """The coordinate of a mask set, layer by layer. Made by `full_spectrum`.

    `layers` maps each parameter name to its `LayerCoordinate`, in the order of the masks, in the `variant` of that
    name. Undefined is nan there; it contributes 0 to a distance and nothing to a mean, so `defined_layers` should be
    reported beside either.
    """

    def __init__(self, scored: Mapping[str, ScoredLayer], references: References, variant: str = PAPER.name) -> None:
        self.variant = variant
        self.layers = {name: one.coordinates[variant] for name, one in scored.items()}
        self.channels: Mapping[str, tuple[int, int]] = {}
        """The inputs and outputs of each layer that lie on a path, and all of them; empty where nobody counted them."""
        self._scored, self._references = scored, references
        self._views: dict[str, Self] = {}

    def __repr__(self) -> str:
        return f"Coordinate({len(self.layers)} layers, {self.defined_layers} defined)"

    def in_variant(self, variant: str | None) -> Self:
        """Return the coordinate of the same masks in the variant of that name; None: the coordinate itself.

        Nothing is computed for it. Raises ValueError for other names.
        """
        if variant is None or variant == self.variant:
            return self
        _check_choice("variant", variant, tuple(VARIANTS))
        if variant not in self._views:
            view = copy.copy(self)
            view.variant, view.layers = variant, {name: one.coordinates[variant] for name, one in self._scored.items()}
            view._views = {self.variant: self}
            self._views[variant] = view
        return self._views[variant]

    @property
    def defined_layers(self) -> int:
        """The number of layers with all four components defined."""
        return sum(layer.defined for layer in self.layers.values())

    @property
    def live_channels(self) -> float:
        """The share of all inputs and outputs of layers that lie on a path, in [0, 1]; nan where nobody counted them.

        Paths are the network's, of which the coordinate knows nothing: whoever counts them sets `channels`.
        """
        total = sum(total for _, total in self.channels.values())
        return 1 - (total - sum(live for live, _ in self.channels.values())) / total if total else nan

    @property
    def kept_magnitudes(self) -> dict[str, float]:
        """The sum of the absolute kept weights of each layer, by name; nan without weights."""
        return {name: one.kept_magnitude for name, one in self._scored.items()}

    @property
    def magnitudes(self) -> dict[str, float]:
        """The sum of the absolute weights of each layer, kept or not, by name; nan without weights."""
        cache, layers = self._references.cache, self._references.layers
        return {layer.name: nan if layer.weights is None else cache.magnitude(layer.weights) for layer in layers}

    def mean(self, field: str) -> float:
        """Return the mean of a field of `LayerCoordinate` over the layers that define it; nan where none does."""
        _check_choice("field", field, _COLUMNS)
        values = [getattr(layer, field) for layer in self.layers.values()]
        defined = [value for value in values if not isnan(value)]
        return float(np.mean(defined)) if defined else nan

    def l2_distance(self, reference: str = "origin", aggregate: str = "sum", variant: str | None = None) -> float:
        """Return the full-spectrum L2 distance, at least 0, from a reference point x_ref.

        `reference`: "origin"; "random", the mean coordinate of uniform random masks of the same layer sparsities on the
        same weights; "dense", the coordinate of the unpruned network; "start", that of the same masks on the weights
        that training started from. `aggregate`: "sum" of ‖x − x_ref‖₂ over the layers, or "mean_vector", the norm of
        the mean of x − x_ref over all layers. A component that is undefined in x or in x_ref contributes 0. The
        references are computed once, when first asked for: "random" takes as long as `chance.DRAWS` scores. `variant`
        defaults to the coordinate's own. Raises ValueError for other names, and for "start" where no such weights were
        given.
        """
        if variant is not None:
            return self.in_variant(variant).l2_distance(reference, aggregate)
        return float(_combined(self._offsets(reference), aggregate))

    def layer_distances(self, reference: str = "origin") -> dict[str, float]:
        """Return ‖x − x_ref‖₂ of each layer, by name: the terms of `l2_distance` with aggregate "sum". See there."""
        return dict(zip(self.layers, np.linalg.norm(self._offsets(reference), axis=1).tolist(), strict=True))

    def layer_offsets(self, reference: str = "origin") -> dict[str, np.ndarray]:
        """Return x − x_ref of each layer, by name: float64 of shape (4,), 0 where it is undefined in either."""
        return dict(zip(self.layers, self._offsets(reference), strict=True))

    def chance(self, draws: int = DRAWS, progress: Callable[[str], None] | None = None) -> dict[str, dict[str, ZScore]]:
        """Return each of `FIELDS` beside uniform random masks that keep as many weights, by layer and field.

        The `z` of a `ZScore` says how many standard deviations above chance the mask lies. Chance is a simulation
        of `draws` masks (at least 2), seeded, on the same weights; the cache keeps it, so that candidates with the same
        counts share it. With so few draws z is an estimate: its own relative error is about 1/√(2·(draws − 1)).
        `progress` is called with a layer's name for each of its draws. Raises ValueError for fewer than 2 draws.
        """
        vectors = self._references.chances(self.variant, draws, progress=progress)
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
        From "start" each random mask is measured from its own coordinate on those weights.
        """
        value, first = self.l2_distance(reference, aggregate), DRAWS if reference == "random" else 0
        chances = self._references.chances(self.variant, draws, first, progress)
        if reference == "start":
            points = self._references.chances(self.variant, draws, first, at_start=True)
        else:
            points = self._references.point(reference, self.variant)
        return ZScore.among(value, _combined(_differences(chances, points), aggregate))

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

    def _offsets(self, reference: str) -> np.ndarray:
        """Return x − x_ref of all layers, shape (layers, 4)."""
        _check_choice("reference", reference, REFERENCES)
        vectors = np.array([layer.vector for layer in self.layers.values()])
        return _differences(vectors, self._references.point(reference, self.variant))


def _differences(vectors: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(np.nan_to_num(vectors - points, nan=0.0))


def _combined(differences: np.ndarray, aggregate: str) -> np.ndarray:
    """Return the distances of coordinates that lie so far from their reference, (…, layers, 4): shape (…)."""
    _check_choice("aggregate", aggregate, AGGREGATES)
    if aggregate == "mean_vector":
        return np.asarray(np.linalg.norm(differences.mean(axis=-2), axis=-1))
    return np.asarray(np.linalg.norm(differences, axis=-1).sum(axis=-1))


def _check_choice(what: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, but got {given!r}")
