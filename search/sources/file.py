"""Warm start: the masks of a file."""

import numpy as np

from ...models.errors import InputError
from ...models.layers import prunable
from ...models.masks import MaskSet, check_fits
from .setting import Setting
from .source import Source

#: Largest relative difference between scores of one layer that would be equal: where a budget cuts among them, a draw
#: decides, and not their index.
JITTER = 1e-6


class MaskFile(Source):
    """The masks of a file: a kept weight scores 1, a removed one the density of its layer (with one more weight kept).

    Temperature 0 at the file's own sparsity returns the masks; at temperature 1 removed weights together are about as
    likely to be drawn as kept ones, so that about half of a sparse layer is swapped. A parameter without a mask in the
    file counts as kept whole. The file is read once, on the machine that checks it.
    """

    has_saliency = False

    def __init__(self, path: str) -> None:
        self.path = path
        self._masks: MaskSet | None = None

    def check(self, setting: Setting) -> None:
        """Read the file. Raise InputError, naming it, where that fails or its masks do not fit the network."""
        masks = MaskSet.load(self.path)
        try:
            self._masks = check_fits(masks, prunable(setting.model))
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        scores = {}
        for name, weight in setting.weights.items():
            mask = self._checked.get(name, np.ones(tuple(weight.shape), dtype=bool))
            removed = (np.count_nonzero(mask) + 1) / (mask.size + 1)
            jitter = JITTER * generator.random(mask.shape)
            scores[name] = np.where(mask, 1 + jitter, removed * (1 - jitter))
        return scores

    def origin(self) -> dict[str, str]:
        """Return the digest of the file's masks."""
        return {"start_digest": self._checked.digest()}

    @property
    def _checked(self) -> MaskSet:
        assert self._masks is not None, "check() comes first"
        return self._masks
