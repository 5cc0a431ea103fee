"""The coordinates of many layers on a GPU: all layers, and all candidates, side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from ..lanczos import two_largest_eigenvalues
from ..layer import LayerSpectrum, ScoredLayer
from ..masked import MaskedLayer, chunk_of
from ..singular import SQUARING_LIMIT
from .dense import DenseMatrices
from .graphs import DeviceMatrix, device_graphs
from .matrices import EdgeMatrices
from .operators import DenseGrams, SparseGrams

#: Layers are taken up together until they hold so many kept weights, or so many weights in all: some 2 GiB.
CHUNK_EDGES, CHUNK_ENTRIES = 2**22, 2**28

#: Edges that are multiplied as one matrix, and numbers in their vectors: enough to keep a GPU busy.
BATCH_EDGES, BATCH_NUMBERS = 2**24, 2**21

#: With vectors of so few numbers a step costs its calls and hardly its arithmetic.
FEW_NUMBERS = 2**19

#: Matrices on one device, sparse or dense.
Matrices = EdgeMatrices | DenseMatrices


def layer_coordinates_on(
    device: torch.device | str,
    masked: Iterable[MaskedLayer],
    progress: Callable[[str], None] | None = None,
) -> Iterator[ScoredLayer]:
    """Yield what is computed of each layer under its mask, in order, computed on `device`.

    As `evaluation.layer_coordinates`, by the same recurrence; masks and weights are tensors or numpy arrays, which are
    moved to the device. The sizes of graphs and the results of the recurrence come back, and no edges. The sums are in
    another order than on the CPU, and need not be the same to the last bit from run to run.
    `progress` is called with the name of each layer that is done.
    """
    pairs = iter(masked)
    while chunk := list(chunk_of(pairs, CHUNK_EDGES, CHUNK_ENTRIES)):
        for (layer, _), coordinate in zip(chunk, _chunk_coordinates(chunk, torch.device(device)), strict=True):
            if progress:
                progress(layer.name)
            yield coordinate


def _chunk_coordinates(chunk: list[MaskedLayer], device: torch.device) -> list[ScoredLayer]:
    graphs, edges = device_graphs(chunk, device)
    spectra = [
        LayerSpectrum(graph, layer.size, layer.weights is not None)
        for graph, (layer, _) in zip(graphs, chunk, strict=True)
    ]
    asked = [spectrum.matrices() for spectrum in spectra]
    sigmas = _two_largest_of([matrix for matrices in asked for matrix in matrices], edges)
    ends = np.cumsum([len(matrices) for matrices in asked])
    return [spectrum.scored(part) for spectrum, part in zip(spectra, np.split(sigmas, ends[:-1]), strict=True)]


def _two_largest_of(asked: Sequence[DeviceMatrix], edges: EdgeMatrices) -> np.ndarray:
    """Return the two largest singular values of each matrix that `LayerSpectrum` asks for, shape (asked, 2)."""
    values = np.zeros((len(asked), 2))
    sparse = {number: matrix for number, matrix in enumerate(asked) if isinstance(matrix, tuple)}
    dense = {number: matrix for number, matrix in enumerate(asked) if isinstance(matrix, torch.Tensor)}
    for number, matrix in enumerate(asked):
        if isinstance(matrix, np.ndarray):
            values[number, 0] = np.sqrt(matrix.size)  # the pattern of a complete graph
    if sparse:
        numbers, patterns = np.array(list(sparse.values())).T
        values[list(sparse)] = two_largest_on_device(edges.take(numbers, patterns.astype(bool)))
    if dense:
        values[list(dense)] = two_largest_on_device(DenseMatrices.of_weights(list(dense.values())))
    return values


def two_largest_on_device(matrices: Matrices) -> np.ndarray:
    """Return the two largest singular values, sigma1 >= sigma2 >= 0, of each matrix: shape (matrices, 2).

    To the same accuracy as `singular.two_largest_of`: matrices of rank one by closed form, all others by Lanczos on the
    small side, many at once. A matrix that Lanczos cannot certify is split into its connected components, and a
    connected one is decomposed in full.
    """
    values = np.zeros((len(matrices), 2))
    largest, below, norm = matrices.extremes()
    sides = np.minimum(matrices.rows, matrices.columns)
    # A single row or column, or equal entries in a full matrix.
    closed = (largest == 0) | (sides <= 1) | ((matrices.edges == matrices.rows * matrices.columns) & (below == 0))
    values[closed, 0] = (largest * norm)[closed]
    unresolved = [np.zeros(0, dtype=np.int64)]
    for batch in _batches(np.flatnonzero(~closed), sides, matrices.edges):
        values[batch], certain = _by_lanczos(matrices.take(batch), largest[batch])
        unresolved.append(batch[~certain])
    remaining = np.concatenate(unresolved)
    if remaining.size:
        values[remaining] = _decomposed(matrices.take(remaining))
    return values


def _batches(numbers: np.ndarray, sides: np.ndarray, edges: np.ndarray) -> Iterator[np.ndarray]:
    """Yield matrices that go together, the largest first: with vectors of about one length, or few numbers in all."""
    batch: list[int] = []
    width = held = 0
    for number in numbers[np.argsort(-sides[numbers], kind="stable")]:
        full = held + edges[number] > BATCH_EDGES or (len(batch) + 1) * width > BATCH_NUMBERS
        if batch and (full or (2 * sides[number] < width and len(batch) * width > FEW_NUMBERS)):
            yield np.array(batch)
            batch = []
        if not batch:
            width, held = int(sides[number]), 0
        batch.append(number)
        held += edges[number]
    if batch:
        yield np.array(batch)


def _by_lanczos(matrices: Matrices, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the singular values, shape (matrices, 2), and whether they are certain, (matrices,)."""
    # Divided by their largest entry: no scale of weights overflows when squared.
    scaled = matrices.scaled(scales)
    operator = SparseGrams(scaled) if isinstance(scaled, EdgeMatrices) else DenseGrams(scaled)
    squares, certified = two_largest_eigenvalues(operator, operator.sides)
    certain = certified & (squares[:, 1] >= SQUARING_LIMIT * squares[:, 0])
    return scales[:, None] * np.sqrt(np.maximum(squares, 0.0)), certain


def _decomposed(matrices: Matrices) -> np.ndarray:
    """Return the singular values, shape (matrices, 2), by a full decomposition of each connected component."""
    values = np.zeros((len(matrices), 2))
    components, whole_of = matrices.components()
    connected = np.bincount(whole_of, minlength=len(matrices)) == 1
    for number in np.flatnonzero(connected).tolist():
        matrix = matrices.toarray(number)
        scale = matrix.amax()
        values[number] = (scale * torch.linalg.svdvals(matrix / scale)[:2]).cpu().numpy()
    parts = np.flatnonzero(~connected[whole_of])
    if parts.size:
        found = two_largest_on_device(components.take(parts))
        for number in np.flatnonzero(~connected).tolist():
            values[number] = np.sort(found[whole_of[parts] == number], axis=None)[:-3:-1]
    return values
