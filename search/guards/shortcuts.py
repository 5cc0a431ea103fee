"""Projection shortcuts, found in the graph of a network: the shorter way to an addition."""

import operator

import torch
from torch import fx, nn

from ...models.layers import prunable

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


class _Tracer(fx.Tracer):
    """Looks into everything but the layers whose weights are pruned, and torch's own."""

    def __init__(self, layers: set[str]):
        super().__init__()
        self._layers = layers

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._layers or super().is_leaf_module(m, module_qualified_name)


def projection_shortcuts(model: nn.Module) -> tuple[str, ...] | None:
    """The parameters that give the output of each projection shortcut, in the order of the additions.

    Where two ways from the network's input meet in an addition, the one that passes fewer prunable layers of its own
    is the shortcut, and a projection if it passes any. None where the network cannot be traced by torch.fx. What a
    forward pass leaves behind in its modules may be left behind in `model`.
    """
    weights = list(prunable(model))
    try:
        # A network that draws random numbers draws them while it is traced.
        with torch.random.fork_rng(devices=[]):
            graph = _Tracer({name.rpartition(".")[0] for name in weights}).trace(model)
    except Exception:  # noqa: BLE001 - whatever a user's forward pass cannot do with symbols
        return None
    order = {node: position for position, node in enumerate(graph.nodes)}
    passed: dict[fx.Node, frozenset[fx.Node]] = {}
    found: dict[str, None] = {}
    for node in graph.nodes:
        before = frozenset().union(*(passed[input] for input in node.all_input_nodes))
        marks = node.op == "placeholder" or (node.op == "call_module" and _weights_of(node.target, weights))
        passed[node] = before | {node} if marks else before
        if node.target in _ADDITIONS and node.op in ("call_function", "call_method") and len(node.all_input_nodes) == 2:
            one, other = (passed[input] for input in node.all_input_nodes)
            shorter, longer = sorted((one - other, other - one), key=len)
            # Ways that do not come from the same input are no ways around one another.
            if one & other and 0 < len(shorter) < len(longer):
                found[_weights_of(max(shorter, key=order.get).target, weights)[-1]] = None
    return tuple(found)


def _weights_of(module: str, weights: list[str]) -> list[str]:
    return [name for name in weights if name.startswith(f"{module}.")]
