"""The channels of a layer: its inputs and outputs, in whatever order its weight has them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

#: An index into `Channels.view`: the weights of one channel.
Key = tuple[int | slice, ...]


@dataclass(frozen=True)
class Channels:
    """The inputs and outputs of a layer whose weight has `groups` groups, and inputs on axis 0 if `inputs_first`.

    The positions of a kernel are no channels of their own; each input feature of a linear layer is one.
    """

    groups: int = 1
    inputs_first: bool = False

    def view(self, array: np.ndarray) -> np.ndarray:
        """Return an `array` of the weight's shape as (groups, outputs of a group, inputs of a group, kernel)."""
        cut = array.reshape(self.groups, array.shape[0] // self.groups, array.shape[1], -1)
        return cut.swapaxes(1, 2) if self.inputs_first else cut

    def outputs(self, used: np.ndarray) -> np.ndarray:
        """Return which outputs have a weight in `used`, bool, (groups, outputs)."""
        return np.asarray(self.view(used).any((2, 3)))

    def inputs(self, used: np.ndarray) -> np.ndarray:
        """Return which inputs have a weight in `used`, bool, (groups, inputs)."""
        return np.asarray(self.view(used).any((1, 3)))

    def without(self, used: np.ndarray, outputs_only: bool = False) -> Iterator[Key]:
        """Yield the channels that have no weight in `used`, outputs first."""
        for group, output in np.argwhere(~self.outputs(used)).tolist():
            yield group, output
        if not outputs_only:
            for group, channel in np.argwhere(~self.inputs(used)).tolist():
                yield group, slice(None), channel


@dataclass(frozen=True)
class ChannelCount:
    """The number of a layer's inputs and outputs, and of those that are not in use."""

    total: int
    empty: int
    """Channels without a kept weight."""
    dead: int
    """Channels without a weight on an input-output path; the empty ones are among them."""

    @property
    def live(self) -> tuple[int, int]:
        """The channels with a weight on a path, and all of them."""
        return self.total - self.dead, self.total

    @classmethod
    def of(cls, channels: Channels, kept: np.ndarray, on_path: np.ndarray) -> "ChannelCount":
        """Return the counts of a layer with the weights `kept`, and of them `on_path`."""
        unused = [
            sum(int((~side).sum()) for side in (channels.outputs(used), channels.inputs(used)))
            for used in (kept, on_path)
        ]
        groups, outputs, inputs, _ = channels.view(kept).shape
        return cls(groups * (outputs + inputs), *unused)
