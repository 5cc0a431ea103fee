"""What a mask source works on: the network as training starts from it, the data, and how much is to be kept."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...models.batches import Batch, check_class_sizes, class_balanced_batch, few_images
from ...models.data import Data
from ...models.layers import layout, prunable
from ...models.layout import Layout
from ...models.maskrules.rule import Fixed
from ...models.masks import MaskSet
from ...models.placement import image_dtype
from ...models.training import MaskedTraining, Recipe
from ...spectral.cache import SpectralCache
from ...spectral.objectives import L2, Objective
from ...spectral.variants import PAPER
from ..remote.mirror import NO_COPIES, Marker, Mirror

#: Images of a batch at most: a larger batch is scored piece by piece, as in the code of SynFlow's authors.
BATCH = 256

#: Images that a source is tried on: two in each half of a batch, which batch normalisation asks for.
FEW = 4


@dataclass(frozen=True)
class SourceTraining:
    """How a source that trains does so, and where it keeps its progress."""

    recipe: Recipe = field(default_factory=Recipe)
    """The study's, with defaults in the place of searched settings."""
    checkpoints: Path | None = None
    """The folder of these scores alone, from which the source goes on. None: progress is not kept."""
    every: float = 60.0
    """Seconds of training between two checkpoints."""
    leave: Marker | None = None
    """The marker whose presence asks the source to save a checkpoint and to raise LeaveRequested."""
    mirror: Mirror = NO_COPIES
    """The way of checkpoints to other machines."""


@dataclass(frozen=True)
class Setting:
    """One network, data set and budget.

    The network: `model` has the very weights that training starts from, and lies on the device that a source works on;
    a source leaves it as it was.

    The budget: `kept` is the number of weights to be kept among those that can be removed; `dense` names prunable
    parameters that are kept whole and are none of those; `sparsity` is the fraction that `kept` is rounded from, in
    [0, 1), where there is one.

    How weights are scored: data-driven sources see `images_per_class` training images of each class; iterative ones
    remove in `rounds`, on a schedule that goes to `sparsity`; sources that train do so for `round_iterations` optimizer
    steps a round, as `training` says. Those that differentiate the network do it in double precision, or, where
    `double` is false, in its own. A batch is of `most_images` at most, of whatever classes, where that is not None.

    `objective` is the score that the study chooses masks by, `variant` the one that it reads the coordinate in;
    `spectra` keeps the coordinates of scored layers.
    """

    model: nn.Module
    data: Data
    kept: int
    dense: frozenset[str] = frozenset()
    images_per_class: int = 10
    rounds: int = 100
    round_iterations: int = 200
    sparsity: float | None = None
    objective: Objective = L2
    variant: str = PAPER.name
    spectra: SpectralCache = field(default_factory=SpectralCache)
    training: SourceTraining = SourceTraining()
    double: bool = True
    most_images: int | None = None

    @cached_property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights that are scored: the prunable ones that are not kept whole, by parameter name."""
        return {name: weight for name, weight in prunable(self.model).items() if name not in self.dense}

    @cached_property
    def layout(self) -> Layout:
        """The groups and the order of axes of the weights."""
        return layout(self.model)

    @property
    def device(self) -> torch.device:
        """The device that the network lies on."""
        return next(self.model.parameters()).device

    @property
    def precision(self) -> str:
        """The dtype of the weights that are differentiated, as torch names it; several where they differ."""
        dtypes = {torch.float64} if self.double else {weight.dtype for weight in self.weights.values()}
        return ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))

    @property
    def image_dtype(self) -> torch.dtype:
        """The dtype of the images that a network in this precision is called with."""
        return torch.float64 if self.double else image_dtype(self.model)

    @property
    def few(self) -> "Setting":
        """The setting with batches of a few images, and one round of one step: what a source is tried on."""
        whole = self.images_per_class * self.data.task.classes
        return replace(
            self,
            rounds=1,
            round_iterations=1,
            most_images=min(FEW, whole),
            training=SourceTraining(self.training.recipe),
        )

    @property
    def size(self) -> int:
        """The number of weights that are scored."""
        return sum(weight.numel() for weight in self.weights.values())

    def split(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Cut an array over all weights that are scored, layer after layer, into arrays of their shapes."""
        shapes = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(shapes.items(), np.split(flat, ends[:-1]), strict=True)
        }

    def masked_training(self, model: nn.Module, masks: MaskSet | None, seed: int) -> MaskedTraining:
        """Return the training of one round: `model`, in place, under `masks` (None: dense), as the recipe says.

        `seed` fixes batches, augmentation and dropout. The masks stay as they are, whatever rule the recipe names.
        """
        iterations, rule = self.round_iterations, Fixed()
        return MaskedTraining(model, masks, self.data, self.training.recipe, iterations, seed, self.device, rule)

    def batches(self, seed: int, parts: int = 1) -> Iterator[Batch]:
        """Yield training images, the same number of each class, on the network's device and in its precision.

        Where they fit into `BATCH` images they come in one batch, or in as many `parts`, class by class; otherwise in
        several batches of mixed classes and of that size at most. Raises InputError as `check_class_sizes` does.
        """
        if self.most_images is None:
            self.check_class_sizes()
            images, labels = class_balanced_batch(self.data, self.images_per_class, seed)
        else:
            images, labels = few_images(self.data.splits["train"], self.most_images)
        if len(labels) > BATCH:
            order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels))).to(labels.device)
            images, labels = images[order], labels[order]
        size = min(BATCH, math.ceil(len(labels) / parts))
        for some, their in zip(images.split(size), labels.split(size), strict=True):
            yield some.to(self.device, self.image_dtype), their.to(self.device)

    def check_class_sizes(self) -> None:
        """Raise InputError, naming the setting, where a class has fewer training images than a batch takes of it."""
        check_class_sizes(self.data, self.images_per_class, "search.images_per_class")
