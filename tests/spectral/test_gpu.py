"""The way of a GPU against the way of numpy: on a GPU where there is one, else on tensors of the CPU."""

import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
import scipy.linalg
import torch
from fullspectrum.spectral import arrays, full_spectrum, lanczos
from fullspectrum.spectral.biadjacency import bipartite_graph
from fullspectrum.spectral.coordinate import full_spectra
from fullspectrum.spectral.evaluation import layer_coordinates
from fullspectrum.spectral.fingerprint import fingerprint
from fullspectrum.spectral.gpu import evaluation as gpu
from fullspectrum.spectral.gpu.dense import DenseMatrices
from fullspectrum.spectral.gpu.graphs import device_graphs
from fullspectrum.spectral.gpu.matrices import EdgeMatrices
from fullspectrum.spectral.layer import ScoredLayer
from fullspectrum.spectral.masked import Layer
from fullspectrum.spectral.singular import two_largest

from .test_singular import FLOOR, KINDS, RELATIVE, _matrix

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

#: Ritz values are within the square of their certified residual over the gap, of the order of 1e-9; they agree further
#: only where both ways run the same recurrence.
AGREED = 1e-8

#: What the same recurrence loses when its sums are in another order.
REORDERED = 1e-10

#: Shape, density, groups, and whether the inputs come first.
LAYERS = [
    ((64, 32, 3, 3), 0.05, 1, False),
    ((64, 32, 3, 3), 0.5, 1, False),
    ((40, 64, 3, 3), 0.2, 1, False),
    ((150, 150), 0.1, 1, False),
    ((150, 150), 0.01, 1, False),
    ((10, 200), 1.0, 1, False),
    ((64, 32, 3, 3), 1.0, 1, False),
    ((20, 30), 0.0, 1, False),
    ((4, 1), 1.0, 1, False),
    ((2, 50), 0.5, 1, False),
    ((32, 1, 3, 3), 0.7, 32, False),
    ((32, 1, 3, 3), 1.0, 32, False),
    ((64, 4, 3, 3), 0.5, 16, False),
    ((100, 40), 0.2, 1, True),
    ((40, 8, 3, 3), 0.4, 4, True),
    ((100, 40), 1.0, 1, True),
]


def decomposition_error(matrix: np.ndarray, sigma: float) -> float:
    """Return how far two full decompositions may differ in a singular value `sigma` of a matrix, relative to it.

    A backward stable one gives the values of a matrix that is up to m·n·ε·‖A‖_F away, by Householder reflections as by
    the Jacobi rotations that cuSOLVER prefers for small matrices (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd edition, theorem 19.4 and lemma 19.9, with 1 for the constant), and by Weyl's inequality no value
    moves further than that. There are two of them, torch's and numpy's. Where both are LAPACK's they agree to the last
    digits; cuSOLVER's was seen to differ by 1.1e-12 for a matrix of 120 rows and 90 columns.
    """
    return 2 * matrix.size * np.finfo(np.float64).eps * float(np.linalg.norm(matrix)) / sigma


def on_device(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, device=DEVICE)


def layers(specifications=LAYERS, seed: int = 0, weighted: bool = True) -> list[tuple[Layer, np.ndarray]]:
    generator = np.random.default_rng(seed)
    pairs = []
    for shape, density, groups, inputs_first in specifications:
        weights = generator.standard_normal(shape).astype(np.float32)
        mask = generator.random(shape) < density
        pairs.append((Layer(str(len(pairs)), shape, weights if weighted else None, groups, inputs_first), mask))
    return pairs


def flat(scored: ScoredLayer) -> list[float]:
    """Return every number that is computed of a layer."""
    return [*(number for one in scored.coordinates.values() for number in astuple(one)), scored.kept_magnitude]


def edge_matrices(dense: list[np.ndarray]) -> EdgeMatrices:
    """Return nonnegative matrices by their entries above 0."""
    places = [np.nonzero(matrix) for matrix in dense]
    rows, columns = np.array([matrix.shape for matrix in dense]).T
    row, column, values = (
        on_device(np.concatenate(parts))
        for parts in (
            [place[0] for place in places],
            [place[1] for place in places],
            [matrix[place] for matrix, place in zip(dense, places, strict=True)],
        )
    )
    return EdgeMatrices(rows, columns, np.array([len(place[0]) for place in places]), row, column, values)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Use one thread: matrices as small as these take longer on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def as_gpu(monkeypatch):
    """Take tensors on `DEVICE` for a GPU's."""
    monkeypatch.setattr(arrays, "GPUS", (DEVICE.type,))


@pytest.mark.parametrize("weighted", [True, False])
def test_layers_of_all_kinds_have_the_coordinates_that_numpy_finds(weighted):
    pairs = layers(weighted=weighted)
    for (layer, _), found, expected in zip(
        pairs, gpu.layer_coordinates_on(DEVICE, pairs), layer_coordinates(pairs, 1), strict=True
    ):
        largest = np.nan_to_num(expected.coordinates["paper"].sigma1)
        assert flat(found) == pytest.approx(flat(expected), rel=AGREED, abs=FLOOR * largest, nan_ok=True), layer


def test_graphs_have_the_nodes_edges_and_subgraphs_of_numpy_s_in_the_same_order():
    pairs = layers()
    graphs, edges = device_graphs(pairs, DEVICE)
    starts = np.cumsum(edges.edges) - edges.edges

    def same(found, expected) -> None:
        for count in ("left", "right", "edges", "full_left", "full_right"):
            assert getattr(found, count) == getattr(expected, count)
        if hasattr(found, "number") and hasattr(expected, "ends"):
            own = slice(starts[found.number], starts[found.number] + found.edges)
            degrees = np.bincount(edges.row[own].cpu().numpy(), minlength=found.left)
            assert np.array_equal(degrees, expected.left_degrees)
            assert np.array_equal(edges.column[own].cpu().numpy(), expected.ends)
            assert np.array_equal(edges.values[own].cpu().numpy(), expected.magnitudes)

    for (layer, mask), found in zip(pairs, graphs, strict=True):
        expected = bipartite_graph(mask, layer.weights, layer.groups, layer.inputs_first)
        same(found, expected)
        for subgraph, other in zip(found.nested(), expected.nested(), strict=True):
            same(subgraph, other)


@pytest.mark.parametrize("density", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_all_kinds_in_one_batch_have_the_values_of_lapack(kind, density):
    shapes = [(1, 1), (1, 7), (9, 1), (12, 9), (9, 12), (40, 60), (60, 40), (130, 120)]
    matrices = [_matrix(kind, *shape, density, seed) for seed, shape in enumerate(shapes)]
    given = edge_matrices(matrices), DenseMatrices.of_weights([on_device(-matrix) for matrix in matrices])
    for values in map(gpu.two_largest_on_device, given):
        for found, matrix in zip(values, matrices, strict=True):
            expected = np.append(np.linalg.svd(matrix, compute_uv=False), 0.0)[:2]
            assert found[0] >= found[1] >= 0.0
            assert found == pytest.approx(expected, rel=RELATIVE, abs=FLOOR * expected[0])
            assert found == pytest.approx(two_largest(matrix), rel=AGREED, abs=FLOOR * expected[0])


@pytest.mark.parametrize(("batch", "few"), [(2**21, 2**19), (2**10, 0)])
def test_candidates_in_one_batch_score_as_one_by_one(monkeypatch, batch, few):
    monkeypatch.setattr(gpu, "BATCH_NUMBERS", batch)
    monkeypatch.setattr(gpu, "FEW_NUMBERS", few)
    pairs = [pair for seed in range(3) for pair in layers(LAYERS[:8], seed)]
    together = [flat(one) for one in gpu.layer_coordinates_on(DEVICE, pairs)]
    for pair, found in zip(pairs, together, strict=True):
        (alone,) = gpu.layer_coordinates_on(DEVICE, [pair])
        largest = np.nan_to_num(alone.coordinates["paper"].sigma1)
        assert found == pytest.approx(flat(alone), rel=REORDERED, abs=FLOOR * largest, nan_ok=True)


def test_layers_are_taken_up_as_memory_allows(monkeypatch):
    pairs = layers(LAYERS[:8])
    expected = [flat(one) for one in gpu.layer_coordinates_on(DEVICE, pairs)]
    monkeypatch.setattr(gpu, "CHUNK_EDGES", 2000)
    taken, done = [], []
    found = gpu.layer_coordinates_on(DEVICE, (taken.append(pair) or pair for pair in pairs), done.append)
    first = flat(next(found))
    assert len(taken) == 2  # the first keeps fewer weights than that, the two of them more
    assert [first, *map(flat, found)] == [
        pytest.approx(values, rel=REORDERED, abs=1e-11, nan_ok=True) for values in expected
    ]
    assert done == [layer.name for layer, _ in pairs]


@pytest.mark.parametrize(("name", "value"), [("PATIENCE", 0), ("CERTIFIED", 0.0), ("FIRST_CERTIFIED", 0.0)])
def test_what_cannot_be_certified_is_decomposed_in_full(name, value, monkeypatch):
    monkeypatch.setattr(lanczos, name, value)
    monkeypatch.setattr(lanczos, "expected_steps", lambda side: np.minimum(side, 4))
    matrix = _matrix("weighted", 120, 90, 0.1, seed=5)
    shapes = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda matrix: shapes.append(tuple(matrix.shape)) or svdvals(matrix))
    for given in edge_matrices([1e200 * matrix]), DenseMatrices([on_device(1e200 * matrix)]):
        (found,) = gpu.two_largest_on_device(given)
        for found_sigma, sigma in zip(found, np.linalg.svd(matrix, compute_uv=False), strict=False):
            assert found_sigma == pytest.approx(1e200 * sigma, rel=decomposition_error(matrix, sigma))
    assert shapes == [(120, 90)] * 2


def test_what_falls_apart_is_solved_component_by_component(monkeypatch):
    monkeypatch.setattr(lanczos, "CERTIFIED", -1.0)
    blocks = [[_matrix("weighted", 30, 20, 0.8, seed=seed) for seed in range(first, 6)] for first in range(3)]
    generator = np.random.default_rng(6)
    matrices = [scipy.linalg.block_diag(*several) for several in blocks]
    shuffled = [
        matrix[generator.permutation(len(matrix))][:, generator.permutation(matrix.shape[1])] for matrix in matrices
    ]
    shapes = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda matrix: shapes.append(tuple(matrix.shape)) or svdvals(matrix))
    found = gpu.two_largest_on_device(edge_matrices(shuffled))
    assert shapes == [(30, 20)] * (6 + 5 + 4)
    assert found == pytest.approx(
        np.array([np.linalg.svd(matrix, compute_uv=False)[:2] for matrix in matrices]), rel=1e-12
    )


def test_no_edge_comes_to_the_host(monkeypatch):
    pairs = [
        (Layer(layer.name, layer.shape, on_device(layer.weights)), on_device(mask))
        for layer, mask in layers([((128, 128, 3, 3), 0.3, 1, False)] * 2)
    ]
    moved = []

    def counted(method):
        return lambda tensor, *arguments: moved.append(tensor.numel()) or method(tensor, *arguments)

    for name in ("cpu", "item", "tolist", "numpy", "__array__", "__int__", "__bool__", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
    list(gpu.layer_coordinates_on(DEVICE, pairs))
    monkeypatch.undo()
    kept = sum(int(mask.count_nonzero()) for _, mask in pairs)
    assert sum(moved) < 0.3 * kept  # each comes by cpu and by numpy: sizes, and two numbers a step of the recurrence


def test_tensors_on_a_gpu_are_scored_there(as_gpu, monkeypatch):
    scored = []
    there = gpu.layer_coordinates_on
    monkeypatch.setattr(
        gpu, "layer_coordinates_on", lambda device, *rest: scored.append(device) or there(device, *rest)
    )
    pairs = layers(LAYERS[:4])
    masks, weights = {pair[0].name: pair[1] for pair in pairs}, {pair[0].name: pair[0].weights for pair in pairs}
    tensors = {name: torch.nn.Parameter(on_device(array)) for name, array in weights.items()}
    expected = full_spectrum(masks, weights)
    assert scored == []
    given = {name: on_device(mask).to(torch.uint8) for name, mask in masks.items()}
    for found in (*full_spectra([masks, given], tensors), full_spectrum(given, tensors)):
        for name, layer in found.layers.items():
            assert astuple(layer) == pytest.approx(astuple(expected.layers[name]), rel=AGREED, nan_ok=True)
    assert scored == [DEVICE, DEVICE]
    alone = full_spectrum(given, None)
    assert alone.mean("imdb") == pytest.approx(expected.mean("imdb"), rel=AGREED)
    assert scored == [DEVICE] * 3


def test_references_are_of_the_weights_that_were_scored(as_gpu):
    pairs = layers([((24, 8, 3, 3), 0.4, 1, False), ((10, 30), 1.0, 1, False)])
    masks, weights = {pair[0].name: pair[1] for pair in pairs}, {pair[0].name: pair[0].weights for pair in pairs}
    start = {name: array[::-1].copy() for name, array in weights.items()}
    expected = full_spectrum(masks, weights, start=start)
    tensors, started = ({name: on_device(array) for name, array in those.items()} for those in (weights, start))
    found = full_spectrum({name: on_device(mask) for name, mask in masks.items()}, tensors, start=started)
    assert found.magnitudes == pytest.approx(expected.magnitudes, rel=1e-12)
    for tensor in (*tensors.values(), *started.values()):
        tensor.fill_(1.0)
    for reference in ("random", "dense", "start"):
        for variant in ("paper", "authors"):
            distance = expected.l2_distance(reference, variant=variant)
            assert found.l2_distance(reference, variant=variant) == pytest.approx(distance, rel=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int8])
def test_weights_of_any_type_are_accepted_on_a_gpu(as_gpu, dtype):
    mask = np.random.default_rng(0).random((12, 20)) < 0.6
    weights = np.random.default_rng(1).integers(-127, 128, mask.shape)
    expected = full_spectrum({"a": mask}, {"a": weights}).layers["a"]
    found = full_spectrum({"a": on_device(mask).bfloat16()}, {"a": on_device(weights).to(dtype)})
    assert astuple(found.layers["a"]) == pytest.approx(astuple(expected), rel=AGREED, nan_ok=True)


@pytest.mark.parametrize(
    ("mask", "weights", "message"),
    [
        (torch.tensor([[1, 2]]), torch.ones(1, 2), r"mask of a must hold only 0 and 1"),
        (torch.ones(3), torch.ones(3), r"mask of a must have at least 2 axes .* but got shape \(3,\)"),
        (torch.ones(2, 2), torch.tensor([[1.0, np.nan], [0, 0]]), r"weights of a must be finite"),
        (torch.ones(2, 2), torch.ones(2, 2, dtype=torch.complex64), r"weights of a must hold real numbers"),
        (torch.ones(2, 2), torch.ones(2, 3), r"mask shape \(2, 2\) but weight shape \(2, 3\)"),
    ],
)
def test_invalid_tensors_on_a_gpu_are_refused_by_name(as_gpu, mask, weights, message):
    with pytest.raises(ValueError, match=message):
        full_spectrum({"a": mask.to(DEVICE)}, {"a": weights.to(DEVICE)})


def test_a_fingerprint_tells_values_places_and_types_apart():
    values = torch.randn(50, 40, generator=torch.Generator().manual_seed(0))
    swapped = values.clone()
    swapped[[3, 7]] = values[[7, 3]]
    nearly = values.clone()
    nearly[0, 0] = torch.nextafter(nearly[0, 0], torch.tensor(9.0))
    others = [swapped, nearly, values.double(), values.bfloat16(), values.numpy(), values.numpy().astype(np.float64)]
    assert len({fingerprint(one) for one in (values, *others)}) == 7
    assert fingerprint(values.T.contiguous().T) == fingerprint(values.clone())
    assert fingerprint(values.numpy().T.copy().T) == fingerprint(values.numpy())


def test_scoring_numpy_arrays_needs_no_torch():
    code = (
        "import sys, numpy as np; from fullspectrum.spectral import full_spectrum; "
        "full_spectrum({'a': np.ones((9, 9))}, {'a': np.ones((9, 9))}).l2_distance('random'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
