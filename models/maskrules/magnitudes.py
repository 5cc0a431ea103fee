"""The largest of a layer's scores."""

import torch


def largest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Return the indices of the `count` largest scores, ties by index, in C order of the parameter on any device."""
    return torch.sort(scores.flatten(), descending=True, stable=True).indices[:count]
