"""What a record says of a data set: enough to tell two of one name apart."""

import hashlib

import torch

from ...models.data import Data
from ...models.imagefiles import ImageFiles
from ..protocol.network import DatasetListing

#: Images of each split in memory, spread evenly over it, that the digest reads.
_READ = 64


def listed(data: Data) -> DatasetListing:
    """Return the name, the numbers of images by split, and a digest of labels and images; of files, of their names."""
    digest = hashlib.sha256()
    for name, split in sorted(data.splits.items()):
        digest.update(f"{name} {len(split)}\n".encode())
        digest.update(split.labels.cpu().contiguous().numpy().tobytes())
        digest.update(_read(split.images))
    sizes = {name: len(split) for name, split in data.splits.items()}
    return {"name": data.name, "digest": digest.hexdigest()[:16], "splits": sizes}


def _read(images: torch.Tensor | ImageFiles) -> bytes:
    if isinstance(images, ImageFiles):
        return images.names.tobytes()
    rows = torch.linspace(0, len(images) - 1, min(_READ, len(images)), device=images.device).long()
    return images[rows].cpu().contiguous().numpy().tobytes()
