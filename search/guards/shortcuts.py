"""Projection shortcuts of a network: of two ways to an addition, the shorter one."""

import operator

import torch
from torch import fx, nn

from ...models.layers import prunable

#: Targets of fx nodes that add two tensors.
_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


class _Tracer(fx.Tracer):
    """A tracer that enters every module but torch's own, and those whose weights are pruned."""

    def __init__(self, layers: set[str]):
        super().__init__()
        self._layers = layers

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._layers or super().is_leaf_module(m, module_qualified_name)


def projection_shortcuts(model: nn.Module) -> tuple[str, ...] | None:
    """Return the parameters that give the output of each projection shortcut, in the order of the additions.

    Where two ways from the network's input meet in an addition, the one that passes fewer prunable layers of its own
    is the shortcut, and a projection if it passes any. Return None where torch.fx cannot trace the network. The trace
    may change attributes of `model`'s modules, as a forward pass would.
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
        marks = node.op == "placeholder" or (node.op == "call_module" and _weights_of(node, weights))
        passed[node] = before | {node} if marks else before
        if node.target in _ADDITIONS and node.op in ("call_function", "call_method") and len(node.all_input_nodes) == 2:
            one, other = (passed[input] for input in node.all_input_nodes)
            shorter, longer = sorted((one - other, other - one), key=len)
            # Ways from different inputs do not lead around one another.
            if one & other and 0 < len(shorter) < len(longer):
                found[_weights_of(max(shorter, key=order.__getitem__), weights)[-1]] = None
    return tuple(found)


def _weights_of(module: fx.Node, weights: list[str]) -> list[str]:
    return [name for name in weights if name.startswith(f"{module.target}.")]
