"""Writing files so that a reader sees the old one or the new one, never half of it."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import InputError


def check_target(path: Path) -> None:
    """Refuse a path that must not be written to.

    Raises `InputError` when the parent folder is missing, when `path` is anything but a plain file, and for a name
    that the file system does not take.
    """
    with _refusals_of(path):
        if not path.parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.parent}; create it first")
        if path.is_symlink():
            raise InputError(f"cannot write {path}: it is a symbolic link; remove it or give the path of a plain file")
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder; give the path of a file")
        if path.exists() and not path.is_file():
            # It would be replaced by a file.
            raise InputError(f"cannot write {path}: it is a device, a pipe or a socket; give the path of a plain file")


def write_atomically(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to `path`, whole or not at all. Raises as `open_atomically` does."""
    path = Path(path)
    with open_atomically(path) as file:
        file.write(content)
    return path


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file beside `path`, which takes its name, flushed to disk, where the block ends well.

    Raises `InputError` where `check_target` does and where the system refuses: no right to, a full disk.
    """
    check_target(path)
    # Not tempfile: it creates with mode 0600, and a mask is there to be shared as the umask says.
    temporary = path.parent / f".fullspectrum-{secrets.token_hex(8)}.tmp"
    with _refusals_of(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            raise
    _flush_folder(path.parent)


@contextlib.contextmanager
def _refusals_of(path: Path) -> Iterator[None]:
    """Raise `InputError`, one line, where the system refuses to write to `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error} in folder {path.parent}") from error


def _flush_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system can flush a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
