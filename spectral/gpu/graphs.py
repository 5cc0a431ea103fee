"""The bipartite graphs of many layers, built at once on one device."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import torch

from ..biadjacency import MIN_SHARED, BipartiteGraph, CompleteGraph
from ..masked import Layer, MaskedLayer, kept_weights
from .matrices import EdgeMatrices, ranges, repeated, starts, tensor_on

#: A matrix of a graph on a device: the number of one of the `EdgeMatrices` and whether its pattern alone is meant; or,
#: of a complete graph, its weights, or an array of ones.
DeviceMatrix = tuple[int, bool] | torch.Tensor | np.ndarray


@dataclass(frozen=True, eq=False)
class DeviceGraph(BipartiteGraph[tuple[int, bool]]):
    """A graph whose edges lie on a device: matrix `number` of the `EdgeMatrices` that it came with."""

    number: int
    subgraphs: tuple["DeviceGraph", ...] = ()
    total: float = nan
    """Sum of the absolute weights; nan for a subgraph."""

    def pattern(self) -> tuple[int, bool]:
        """Return M: the number of the matrix, and that its pattern alone is meant."""
        return self.number, True

    def weighted(self) -> tuple[int, bool]:
        """Return |W∘M|: the number of the matrix, and that its entries are meant."""
        return self.number, False

    def magnitude(self) -> float:
        """Return the sum of absolute weights, which came to the host with the sizes."""
        return self.total

    def nested(self) -> Sequence["DeviceGraph"]:
        """Return the nested left-regular subgraphs; the graph itself where it is left-regular."""
        return [self if subgraph.left == self.left else subgraph for subgraph in self.subgraphs]


def device_graphs(
    masked: Sequence[MaskedLayer], device: torch.device
) -> tuple[list[BipartiteGraph[DeviceMatrix]], EdgeMatrices]:
    """Return the graph of each layer under its mask, with its nested subgraphs, and the edges that they refer to.

    The same graphs as `bipartite_graph` makes, with nodes and edges in the same order. `masked` pairs layers with
    boolean masks of their shape; masks and weights are numpy arrays or tensors. To the host come the numbers of nodes
    and edges, and the sums of weights.
    """
    kept = [kept_weights(mask) for _, mask in masked]
    listed = [number for number, (layer, _) in enumerate(masked) if kept[number] < layer.size or layer.groups > 1]
    counts = np.array([kept[number] for number in listed], dtype=np.int64)
    wholes = _wholes([masked[number] for number in listed], counts, device)
    nested, whole_of = _nested(wholes)
    edges, totals = EdgeMatrices.joined(wholes, nested), wholes.sums()
    place = {number: place for place, number in enumerate(listed)}
    graphs: list[BipartiteGraph[DeviceMatrix]] = []
    for number, (layer, _) in enumerate(masked):
        sides = _sides(layer)
        if number in place:
            subgraphs = tuple(
                _graph(edges, int(subgraph), sides)
                for subgraph in len(wholes) + np.flatnonzero(whole_of == place[number])
            )
            graphs.append(_graph(edges, place[number], sides, subgraphs, float(totals[place[number]])))
        else:
            weights = None if layer.weights is None else tensor_on(device, layer.weights).reshape(layer.shape[0], -1)
            graphs.append(CompleteGraph.of_nodes(*sides, sides, weights))
    return graphs, edges


def _sides(layer: Layer) -> tuple[int, int]:
    """Return the numbers of left and right nodes before any are dropped."""
    rows, positions = layer.shape[0], layer.groups * (layer.size // layer.shape[0])
    return (rows, positions) if layer.inputs_first else (positions, rows)


def _graph(
    edges: EdgeMatrices,
    number: int,
    sides: tuple[int, int],
    subgraphs: tuple[DeviceGraph, ...] = (),
    total: float = nan,
) -> DeviceGraph:
    left, right, count = (int(counts[number]) for counts in (edges.rows, edges.columns, edges.edges))
    return DeviceGraph(left, right, count, *sides, number, subgraphs, total)


def _wholes(masked: Sequence[MaskedLayer], kept: np.ndarray, device: torch.device) -> EdgeMatrices:
    """Return the biadjacency matrix of each layer: left nodes by rows."""
    if not masked:
        return EdgeMatrices.empty(device)
    layers = [layer for layer, _ in masked]
    rows, sizes, groups = np.array(
        [(layer.shape[0], layer.size, layer.groups) for layer in layers], dtype=np.int64
    ).T.copy()
    flat = torch.cat([tensor_on(device, mask).reshape(-1) for _, mask in masked])
    place = flat.nonzero()[:, 0] - repeated(starts(sizes), kept, device)
    width = repeated(sizes // rows, kept, device)
    row = place // width
    # Each group has input positions of its own.
    column = place - row * width + row // repeated(rows // groups, kept, device) * width
    turned = repeated(np.array([layer.inputs_first for layer in layers]), kept, device)
    full_left, full_right = np.array([_sides(layer) for layer in layers]).T
    left, lefts = _counted(torch.where(turned, row, column), full_left, kept)
    right, rights = _counted(torch.where(turned, column, row), full_right, kept)
    order = torch.sort(left + repeated(starts(lefts), kept, device), stable=True).indices
    values = [
        torch.ones(len(places), dtype=torch.float64, device=device)
        if layer.weights is None
        else tensor_on(device, layer.weights).reshape(-1)[places].to(torch.float64).abs()
        for layer, places in zip(layers, torch.split(place[order], kept.tolist()), strict=True)
    ]
    return EdgeMatrices(lefts, rights, kept, left[order], right[order], torch.cat(values))


def _nested(wholes: EdgeMatrices) -> tuple[EdgeMatrices, np.ndarray]:
    """Return the matrices of the nested subgraphs of all graphs, by increasing degree, and which graph each is of."""
    device = wholes.row.device
    node = wholes.row + wholes.of_each(starts(wholes.rows))
    degrees = torch.bincount(node, minlength=int(wholes.rows.sum()))
    # The left nodes that share a degree, graph by graph: whose number these keys hold beside the degree.
    base = int(wholes.columns.max(initial=0)) + 1
    keys, shares, counts = torch.unique(
        repeated(np.arange(len(wholes)) * base, wholes.rows, device) + degrees, return_inverse=True, return_counts=True
    )
    keys, counts = torch.stack([keys, counts]).cpu().numpy()
    chosen = np.flatnonzero(counts >= MIN_SHARED)
    nodes = torch.sort(shares, stable=True).indices[ranges(starts(counts)[chosen], counts[chosen], device)]
    whole_of, degree, counts = keys[chosen] // base, keys[chosen] % base, counts[chosen]
    of_node = np.repeat(degree, counts)
    edges = ranges((degrees.cumsum(0) - degrees)[nodes], of_node, device)
    column, columns = _counted(wholes.column[edges], wholes.columns[whole_of], degree * counts)
    row = repeated(ranges(np.zeros_like(counts), counts, device), of_node, device)
    return EdgeMatrices(counts, columns, degree * counts, row, column, wholes.values[edges]), whole_of


def _counted(nodes: torch.Tensor, sizes: np.ndarray, edges: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Return node numbers within each graph counted without those that do not occur, and how many occur in each.

    `sizes` are the numbers of nodes that each graph could have, `edges` says how many of `nodes` are of each.
    """
    nodes = nodes + repeated(starts(sizes), edges, nodes.device)
    before = nodes.new_zeros(int(sizes.sum()) + 1)
    before[nodes + 1] = 1
    before = before.cumsum(0)
    firsts = before[torch.from_numpy(np.append(starts(sizes), sizes.sum())).to(nodes.device)]
    return before[nodes] - repeated(firsts[:-1], edges, nodes.device), firsts.diff().cpu().numpy()
