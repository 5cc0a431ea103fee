"""The form of rigl-torch: the state of its scheduler, which has the masks as a list in the order of the layers."""

from collections.abc import Mapping, Sequence

import torch

from ..errors import InputError
from ..masks import HasShape, MaskSet
from .tied import under_every_name
from .torchformat import MaskFormat


class RigLTorch(MaskFormat):
    """The state dict of a `RigLScheduler`: of each weighted layer a boolean mask, or None where it is kept whole.

    Weighted layers are those with a `weight`, batch normalisation apart, in the order of the network. The file names
    none of them: names come from the weights beside it, or from those of the network.
    """

    description = "rigl-torch's scheduler: backward_masks, a list of bool in the order of layers, without names"
    needs_weights = True
    names_parameters = False
    template = '''\
"""Give a network its initial weights, and make the scheduler of rigl-torch that keeps it masked."""

from pathlib import Path

import torch
from rigl_torch.RigL import RigLScheduler
from rigl_torch.util import get_W

HERE = Path(__file__).parent


def load(model, optimizer, end=0):
    """Return the scheduler; the mask stays as it is, or moves by RigL until the step `end`."""
    model.load_state_dict(torch.load(HERE / $weights, weights_only=True), strict=$strict)  # weights
    state = torch.load(HERE / $file, weights_only=True, map_location=next(model.parameters()).device)
    sizes = [weight.numel() for weight in get_W(model)]
    if sizes != state["N"]:
        raise ValueError(f"the layers of the network have {sizes} weights, the masks are for {state['N']}")
    scheduler = RigLScheduler(model, optimizer, state_dict=state)
    scheduler.static_topo, scheduler.T_end = end == 0, end
    return scheduler
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> object:
        """Return the state of a scheduler whose masks do not move. Raises `InputError` for other masks than layers'."""
        assert state is not None, "the order of the layers is that of the weights"
        every = under_every_name(masks, state)
        layers = _weighted(state)
        if others := [name for name in masks if name not in layers]:
            raise InputError(f"rigl-torch masks the weight of a layer, but there are masks of {', '.join(others)}")
        kept = [torch.tensor(every[name]) if name in every else None for name in layers]
        return {
            "dense_allocation": max(masks.kept / masks.size, 1 / masks.size),
            "S": [0.0 if mask is None else 1 - mask.sum().item() / mask.numel() for mask in kept],
            "N": [state[name].numel() for name in layers],
            "hyperparams": {
                "delta_T": 100,
                "alpha": 0.3,
                "T_end": 0,
                "ignore_linear_layers": False,
                "static_topo": True,
                "sparsity_distribution": "uniform",
                "grad_accumulation_n": 1,
            },
            "step": 0,
            "rigl_steps": 0,
            "backward_masks": kept,
            "_linear_layers_mask": [int(state[name].ndim == 2) for name in layers],
        }

    def decode(self, content: object) -> dict[str, torch.Tensor]:
        """Return the masks by the number of their layer."""
        kept = _positional(content)
        if kept is None:
            raise InputError("holds no backward_masks: a list of masks or None")
        masks = {str(place): mask for place, mask in enumerate(kept) if mask is not None}
        if not masks:
            raise InputError("is dense: it holds a mask of no layer")
        return masks

    def named(self, masks: MaskSet, parameters: Mapping[str, HasShape]) -> MaskSet:
        """Return the masks under the names of the weighted layers. Raises `InputError` where there are too few."""
        layers = _weighted(parameters)
        if beyond := [place for place in masks if int(place) >= len(layers)]:
            raise InputError(f"holds a mask of layer {beyond[-1]}, but the network has {len(layers)} weighted layers")
        return MaskSet({layers[int(place)]: mask for place, mask in masks.items()}, masks.metadata)

    def recognises(self, content: object) -> bool:
        """Return whether it is a list of masks, or has one as a scheduler has it."""
        return _positional(content) is not None


def _positional(content: object) -> Sequence[torch.Tensor | None] | None:
    """Return the list of masks that `content` is, or has; None where there is none."""
    kept = content.get("backward_masks") if isinstance(content, dict) else content
    if not isinstance(kept, list) or not kept:
        return None
    return kept if all(each is None or (isinstance(each, torch.Tensor) and each.ndim) for each in kept) else None


def _weighted(parameters: Mapping[str, HasShape]) -> list[str]:
    """Return the names of the weights of layers that rigl-torch masks, in the order of the network."""
    return [
        name
        for name in parameters
        if name.rpartition(".")[2] == "weight" and f"{name.removesuffix('weight')}running_mean" not in parameters
    ]
