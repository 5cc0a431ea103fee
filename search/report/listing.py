"""The list of a network's prunable parameters."""

import math
from typing import Any

from torch import nn

from ...models.layers import layout, prunable, unsupported
from ...models.networks import Task, adaptations


def listing(network: nn.Module, model: str, task: Task) -> dict[str, Any]:
    """What there is to prune in the network called `model`, built for `task`, as plain values.

    Each prunable parameter with its kind of layer, its shape, the sides of its bipartite graph (input positions left,
    outputs right) and its share of all prunable weights; what is never pruned, and why; and what was changed against
    the published network.
    """
    weights, found = prunable(network), layout(network)
    total = sum(weight.numel() for weight in weights.values())
    listed = {}
    for name, weight in weights.items():
        groups = found.groups.get(name, 1)
        rows, columns = len(weight), groups * math.prod(weight.shape[1:])
        left, right = (rows, columns) if name in found.inputs_first else (columns, rows)
        listed[name] = {
            "kind": _kind(network.get_submodule(name.rpartition(".")[0])),
            "shape": list(weight.shape),
            "groups": groups,
            "left": left,
            "right": right,
            "weights": weight.numel(),
            "share": weight.numel() / total,
        }
    return {
        "model": model,
        "task": {"channels": task.channels, "size": task.size, "classes": task.classes},
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights": total,
        "layers": listed,
        "never_pruned": unsupported(network),
        "adaptations": list(adaptations(network)),
    }


def _kind(module: nn.Module) -> str:
    """The name under which torch knows the layer, whatever a subclass calls itself."""
    return next(kind.__name__ for kind in type(module).__mro__ if getattr(nn, kind.__name__, None) is kind)
