"""The prunable layers of well-known networks, with random weights and ERK-random masks, without a download."""

import numpy as np
import torch
import torchvision
from fullspectrum.models.layers import prunable
from fullspectrum.search.sampling.allocation import allocate
from fullspectrum.search.sampling.layers import Layers, Shapes


def shapes(name: str, classes: int = 1000) -> dict[str, tuple[int, ...]]:
    """The shapes of the prunable parameters of torchvision's network `name`."""
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(num_classes=classes)
    return {parameter: tuple(weight.shape) for parameter, weight in prunable(model).items()}


def weights(layers: Shapes, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal weights with the variance of He et al., 2 / fan-out, float32 and read-only."""
    generator = np.random.default_rng(seed)
    drawn = {}
    for name, shape in layers.items():
        scale = np.sqrt(2 / (shape[0] * np.prod(shape[2:])), dtype=np.float32)
        drawn[name] = generator.standard_normal(shape, dtype=np.float32)
        drawn[name] *= scale
        drawn[name].flags.writeable = False
    return drawn


def masks(layers: Shapes, sparsity: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Random masks under ERK; all ones at sparsity 0."""
    counts = allocate(Layers(layers), sparsity)
    generator = np.random.default_rng(seed)
    drawn = {}
    for name, shape in layers.items():
        mask = np.zeros(int(np.prod(shape)), dtype=bool)
        mask[generator.choice(mask.size, counts[name], replace=False, shuffle=False)] = True
        drawn[name] = mask.reshape(shape)
    return drawn
