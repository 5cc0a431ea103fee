"""ImageNet: 1.28 million photographs in 1,000 classes (ILSVRC 2012; Russakovsky et al. 2015)."""

import torch

from ..dataset import Data
from .classfolders import assemble, find
from .root import unpacked

SIZE = 224

#: Those that all published weights expect.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load() -> Data:
    """Return ImageNet from the folder imagenet of `$FULLSPECTRUM_DATA` (default: ./data), decoded for each batch.

    It holds train/ and val/ with a folder for each class. The official validation images are the test split, as
    everywhere, because the official test images have no labels; a tenth of the training images validates.
    Raises `InputError` for a missing folder or class.
    """
    root = unpacked(
        "imagenet",
        "imagenet",
        "unpack ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar (image-net.org) there, "
        "as train/CLASS/*.JPEG and val/CLASS/*.JPEG",
    )
    splits = {"train": find(root, "train"), "test": find(root, "val")}
    return assemble("imagenet", root, splits, SIZE, streamed=True, statistics=(torch.tensor(MEAN), torch.tensor(STD)))
