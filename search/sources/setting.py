"""What a mask source works on: the network as training starts from it, the data, and how much is to be kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from ...models.batches import Batch, class_balanced_batch
from ...models.data import Data
from ...models.layers import layout, prunable
from ...models.layout import Layout

#: Images of a batch at most: one that is larger is scored piece by piece, as in the code of SynFlow's authors.
BATCH = 256


@dataclass(frozen=True)
class Setting:
    """One network, data set and budget.

    `model` is the network at the very weights that training starts from; a source leaves it as it was. `kept` is the
    number of weights to be kept among those that can be removed; `dense` names prunable parameters that are kept whole
    and are none of those. Data-driven sources see `images_per_class` training images of each class; iterative ones
    remove in `rounds`.
    """

    model: nn.Module
    data: Data
    kept: int
    dense: frozenset[str] = frozenset()
    images_per_class: int = 10
    rounds: int = 100

    @cached_property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights that are scored: the prunable ones that are not kept whole, by parameter name."""
        return {name: weight for name, weight in prunable(self.model).items() if name not in self.dense}

    @cached_property
    def layout(self) -> Layout:
        """How the weights lie on their axes."""
        return layout(self.model)

    @property
    def size(self) -> int:
        """The number of weights that are scored."""
        return sum(weight.numel() for weight in self.weights.values())

    def batches(self, seed: int) -> Iterator[Batch]:
        """Training images, the same number of each class, in double precision on the network's device.

        One batch where they fit into `BATCH` images; otherwise several, of mixed classes.
        """
        images, labels = class_balanced_batch(self.data, self.images_per_class, seed)
        if len(labels) > BATCH:
            order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels))).to(labels.device)
            images, labels = images[order], labels[order]
        device = next(self.model.parameters()).device
        for some, their in zip(images.split(BATCH), labels.split(BATCH), strict=True):
            yield some.to(device).double(), their.to(device)
