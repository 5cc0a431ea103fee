"""The list of a network's prunable parameters."""

import math

from torch import nn

from ...models.layers import layout, prunable, unsupported
from ...models.networks import Task, adaptations
from ..protocol.network import LayerListing, NetworkListing


def listing(network: nn.Module, model: str, task: Task) -> NetworkListing:
    """Return what there is to prune in the network called `model`, built for `task`, as plain values."""
    weights, found = prunable(network), layout(network)
    total = sum(weight.numel() for weight in weights.values())
    listed: dict[str, LayerListing] = {}
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
    """Return the name under which torch knows the layer, whatever a subclass calls itself."""
    names = [kind.__name__ for kind in type(module).__mro__]
    return next(name for name, kind in zip(names, type(module).__mro__, strict=True) if getattr(nn, name, None) is kind)
