"""A cache of decoded image files: decoding a folder takes minutes, reading its pixels seconds."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import PIL
import torch

from .errors import InputError
from .imagefiles import ImageFiles

#: Counted up when `ImageFiles.read` makes other pixels of the same file.
DECODING = 3


def cached(files: ImageFiles, split: str) -> torch.Tensor:
    """Return `files.decode()`, out of the cache where it holds these files as they are now.

    The cache is a file for each folder, split and size in `$XDG_CACHE_HOME/fullspectrum` (default: ~/.cache). One that
    is stale or damaged is decoded and written again; one that cannot be written is done without.
    Raises `InputError` as `ImageFiles.read` does.
    """
    place = hashlib.sha256(repr((files.root, split, files.size, files.exact)).encode()).hexdigest()
    path = _folder() / f"{place[:32]}.npz"
    fingerprint = _fingerprint(files)
    images = _read(path, fingerprint, files.shape)
    if images is None:
        images = files.decode()
        # A full disk, or a place where nothing may be written.
        with contextlib.suppress(OSError):
            _write(path, fingerprint, images.numpy())
    return images


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "fullspectrum"


def _fingerprint(files: ImageFiles) -> str:
    """Return a digest of what decodes the files, and of the names, sizes and times of all of them."""
    digest = hashlib.sha256(f"{DECODING} {PIL.__version__}".encode())
    for row, name in enumerate(files.names.tolist()):
        try:
            found = os.stat(files.path(row))
        except OSError as error:
            raise InputError(f"{files.path(row)}: cannot be read ({error.strerror}); replace or remove it") from error
        # A copy can keep size and time of modification, but neither its number nor its own time.
        values = found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns
        digest.update(b"%b\0%d\0%d\0%d\0%d\0" % (name, *values))
    return digest.hexdigest()


def _read(path: Path, fingerprint: str, shape: tuple[int, ...]) -> torch.Tensor | None:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["fingerprint"]) != fingerprint:
                return None
            # The archive's own checksum is compared on the way.
            images = archive["images"]
    except Exception:  # noqa: BLE001 - a damaged archive fails in as many ways as it can be damaged
        return None
    return torch.from_numpy(images) if images.dtype == np.uint8 and images.shape == shape else None


def _write(path: Path, fingerprint: str, images: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
            np.savez(file, fingerprint=np.array(fingerprint), images=images)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
