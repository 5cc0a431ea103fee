"""The layers that a sparsity is shared among, and the bounds of what each keeps."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...models.errors import InputError

#: Shapes of parameters by name.
Shapes = Mapping[str, tuple[int, ...]]


class AllocationError(InputError):
    """A budget that the layers cannot meet."""


def budget(shapes: Shapes, sparsity: float) -> int:
    """Return the number of weights kept at a global `sparsity` in [0, 1): all of them less the rounded number removed.

    Raises AllocationError for a sparsity outside its range.
    """
    if not 0 <= sparsity < 1:
        raise AllocationError(f"sparsity {sparsity:g}: expected the fraction of weights removed, in [0, 1)")
    total = sum(math.prod(shape) for shape in shapes.values())
    return total - round(sparsity * total)


@dataclass(frozen=True)
class Layers:
    """The prunable layers of a network, and how few weights each may keep."""

    shapes: Shapes
    #: Kept weights per output on average that no layer falls under, >= 0.
    min_kept_per_output: float = 1.0
    #: Outputs of the layers whose first axis is not the output (embeddings, transposed convolutions).
    outputs: Mapping[str, int] = field(default_factory=dict)
    #: Layers that are kept whole.
    dense: Collection[str] = ()

    def floors(self) -> dict[str, int]:
        """Return the least kept weights of each layer: at least one, and all of a layer that is kept whole."""
        return {name: self._floor(name, math.prod(shape)) for name, shape in self.shapes.items()}

    def _floor(self, name: str, size: int) -> int:
        if name in self.dense:
            return size
        outputs = self.outputs.get(name, self.shapes[name][0])
        return min(size, max(1, math.ceil(self.min_kept_per_output * outputs)))
