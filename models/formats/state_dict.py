"""A plain state dict, with zeros in place of what a mask removes."""

from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import naming
from ..masks import MaskSet
from ..weights import load_state, save_state
from .tied import under_every_name, under_one_name
from .torchformat import StateFormat, is_by_name


class StateDict(StateFormat):
    """Weights that any trainer reads; a file called `.safetensors` is one, any other is of torch.save.

    It holds no mask: on reading, every `weight` with two axes or more is masked where it is 0.
    """

    description = "a plain state dict, zeros in place; it holds no mask, which is what is not 0 (.safetensors, .pt)"
    zeroes_removed = True
    infers_masks = True
    template = '''\
"""Give a network weights that are 0 where the masks remove them. Nothing keeps them at 0 while it trains."""

from pathlib import Path

import torch

HERE = Path(__file__).parent


def load(model):
    """Return `model` with the weights."""
    model.load_state_dict(torch.load(HERE / $file, weights_only=True), strict=$strict)
    return model
'''

    def encode(self, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights, 0 where removed, under each of their names."""
        return zeroed(masks, state)

    def decode(self, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return where weights are not 0."""
        return {name: tensor != 0 for name, tensor in state.items() if _is_weight(name, tensor)}, state

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write the weights, 0 where removed."""
        if state is None or path.suffix != ".safetensors":
            return super().save(path, masks, state)
        return [save_state(path, self.encode(masks, state))]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor]]:
        """Read the weights of a file of safetensors or torch.save; masks are where they are not 0."""
        masks, state = self.decode(load_state(path))
        with naming(path):
            return MaskSet(under_one_name(masks, state)), state

    def snippet(self, path: Path, name: str, *, weights: bool, strict: bool) -> str:
        """Return the program, which reads with safetensors what was written with it."""
        program = super().snippet(path, name, weights=weights, strict=strict)
        if path.suffix != ".safetensors":
            return program
        file = f"HERE / {path.name!a}"
        return program.replace(f"torch.load({file}, weights_only=True)", f"load_file({file})").replace(
            "\nimport torch\n", "\nfrom safetensors.torch import load_file\n"
        )

    def recognises(self, content: object) -> bool:
        """Return whether there is any weight that could be masked."""
        return is_by_name(content) and any(_is_weight(name, tensor) for name, tensor in content.items())


def zeroed(masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return `state` with removed weights 0; names of one tensor have one."""
    result = dict(state)
    done: dict[int, torch.Tensor] = {}
    for name, mask in under_every_name(masks, state).items():
        # The names of a tensor have one mask, the same array.
        if id(mask) not in done:
            done[id(mask)] = torch.where(torch.tensor(mask, device=state[name].device), state[name], 0)
        result[name] = done[id(mask)]
    return result


def _is_weight(name: str, tensor: torch.Tensor) -> bool:
    # Not the table of positions of a transformer, which is no layer's.
    return name.endswith("weight") and tensor.ndim > 1 and tensor.is_floating_point() and tensor.numel() > 0
