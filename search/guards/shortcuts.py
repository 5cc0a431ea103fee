"""Projection shortcuts of a network: of two ways to an addition, the shorter one."""

from collections.abc import Iterable

import torch
from torch import fx

from ..paths.trace import Trace


def projection_shortcuts(trace: Trace, weights: Iterable[str]) -> tuple[str, ...]:
    """Return the parameters that give the output of each projection shortcut, in the order of the additions.

    `weights` names the prunable parameters. Where two ways from the network's input meet in an addition, the one that
    passes fewer of their layers of its own is the shortcut, and a projection if it passes any.
    """
    *state, image = trace.placeholders
    prunable = set(weights)
    # The weights that a tensor is computed from, where nothing of the image is in it.
    carries = {node: [name] for node, name in zip(state, trace.state, strict=True) if name in prunable}
    # The layers that the image has passed on the way to a tensor, each with its weights.
    passed: dict[fx.Node, dict[fx.Node, list[str]]] = {image: {image: []}}
    found: dict[str, None] = {}
    for node in trace.nodes:
        ways = [passed[each] for each in node.all_input_nodes if each in passed]
        names = [name for each in node.all_input_nodes for name in carries.get(each, [])]
        if ways:
            passed[node] = {layer: its for way in ways for layer, its in way.items()} | ({node: names} if names else {})
        elif names:
            carries[node] = names
        if node.target == torch.ops.aten.add.Tensor and len(ways) == 2:
            one, other = (way.keys() for way in ways)
            shorter, longer = sorted((one - other, other - one), key=len)
            # Ways from different inputs do not lead around one another.
            if one & other and 0 < len(shorter) < len(longer):
                last = next(layer for layer in reversed(passed[node]) if layer in shorter)
                found[passed[node][last][-1]] = None
    return tuple(found)
