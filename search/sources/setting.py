"""What a mask source works on: the network as training starts from it, the data, and how much is to be kept."""

import math
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
from ...spectral.objectives import OBJECTIVES, Objective

#: Images of a batch at most: one that is larger is scored piece by piece, as in the code of SynFlow's authors.
BATCH = 256


@dataclass(frozen=True)
class Setting:
    """One network, data set and budget.

    `model` is the network at the very weights that training starts from; a source leaves it as it was. `kept` is the
    number of weights to be kept among those that can be removed; `dense` names prunable parameters that are kept whole
    and are none of those. Data-driven sources see `images_per_class` training images of each class; iterative ones
    remove in `rounds`, on a schedule that goes to `sparsity`: the one that `kept` is rounded from, where there is one.
    `objective` is what the study chooses masks by.
    """

    model: nn.Module
    data: Data
    kept: int
    dense: frozenset[str] = frozenset()
    images_per_class: int = 10
    rounds: int = 100
    sparsity: float | None = None
    objective: Objective = OBJECTIVES["l2"]

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

    def split(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Cuts one array over all weights that are scored, layer after layer, into arrays of their shapes."""
        shapes = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(shapes.items(), np.split(flat, ends[:-1]), strict=True)
        }

    def batches(self, seed: int, parts: int = 1) -> Iterator[Batch]:
        """Training images, the same number of each class, in double precision on the network's device.

        In one batch, or as many `parts` one after the other, class by class, where they fit into `BATCH` images;
        otherwise in several of that size at most, of mixed classes.
        """
        images, labels = class_balanced_batch(self.data, self.images_per_class, seed)
        if len(labels) > BATCH:
            order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels))).to(labels.device)
            images, labels = images[order], labels[order]
        device = next(self.model.parameters()).device
        size = min(BATCH, math.ceil(len(labels) / parts))
        for some, their in zip(images.split(size), labels.split(size), strict=True):
            yield some.to(device).double(), their.to(device)
