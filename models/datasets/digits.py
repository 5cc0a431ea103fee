"""The handwritten digits that scikit-learn carries: 1,797 images of 8 x 8 pixels, nothing to download."""

import numpy as np

from ..dataset import Data
from ..stratify import holdout


def load() -> Data:
    """Return the digits, 60 % for training, 20 % for validation and 20 % for test, stratified by class."""
    # Here, so that only those who use it need it.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    rest, test = holdout("digits", bunch.target, 0.2)
    train, val = holdout("digits", bunch.target[rest], 0.25)
    rows = {"train": rest[train], "val": rest[val], "test": test}
    return Data.from_arrays("digits", {split: (images[chosen], bunch.target[chosen]) for split, chosen in rows.items()})
