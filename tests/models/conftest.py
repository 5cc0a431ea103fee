import itertools
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data, load
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def digits() -> Data:
    return load("digits")


@pytest.fixture
def random_masks() -> Callable[..., MaskSet]:
    """Masks of a model that remove each weight with probability `sparsity`."""

    def draw(model: torch.nn.Module, sparsity: float = 0.9, seed: int = 0) -> MaskSet:
        generator = np.random.default_rng(seed)
        return MaskSet({name: generator.random(w.shape) >= sparsity for name, w in prunable(model).items()})

    return draw


@pytest.fixture
def user_module(tmp_path, monkeypatch) -> Callable[[str], str]:
    """Write a module with a fresh name into the working directory; return that name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source: str) -> str:
        # A name of its own each time: an imported module stays imported.
        name = f"user_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write
