"""Checkpoints of a training: whole or not at all, and never the only one."""

import hashlib
import io
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import torch

from ...models.errors import first_line
from ...models.files import open_atomically
from ..console import warn

#: Files kept: the newest, and the one before in case the newest cannot be read.
_KEPT = 2

_NAME = re.compile(r"iteration-(\d+)-attempt-(\d+)\.checkpoint")
_MAGIC = b"fullspectrum checkpoint 1 sha256 "
_HEADER = len(_MAGIC) + hashlib.sha256().digest_size * 2 + 1


class Checkpoints:
    """The checkpoints of one training in a folder of their own, written by its `attempt` (from 1).

    A file is one line that ends with the SHA-256 of the rest, then what `torch.save` writes. Its name has the iteration
    and the attempt, so that a worker that was given up, and lives on, touches nothing of the attempts after its own.
    """

    def __init__(self, folder: Path, attempt: int = 1):
        self._folder = folder
        self._attempt = attempt

    def save(self, state: dict) -> Path:
        """Writes `state`, whose "iteration" says how far it is, and deletes what is older than the one before.

        What was there stays where it cannot be written. Raises InputError with the cause: a full disk, for example.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"iteration-{state['iteration']:08d}-attempt-{self._attempt}.checkpoint"
        with open_atomically(path) as file:
            payload = _Payload(file)
            torch.save(state, payload)
            payload.finish()
        for old in self._in_order_of_writing()[:-_KEPT]:
            # Another process may have been faster.
            old.unlink(missing_ok=True)
        return path

    def load(self) -> dict | None:
        """The state that is furthest of those that can be read; None where there is none."""
        return next(self.states(), None)

    def states(self) -> Iterator[dict]:
        """Every state that can be read, with its tensors on the CPU, the furthest first; warns of each other one."""
        for path in sorted(_files(self._folder), key=_numbers, reverse=True):
            try:
                yield _read(path)
            except (OSError, ValueError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
                warn(f"{path} cannot be read ({first_line(error)}); the checkpoint before it is taken, if there is one")

    def clear(self) -> None:
        """Deletes the folder; it need not be there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _in_order_of_writing(self) -> list[Path]:
        """The files of this attempt and of those before it: a later attempt may have had to begin further back."""
        own = [path for path in _files(self._folder) if _numbers(path)[1] <= self._attempt]
        return sorted(own, key=lambda path: _numbers(path)[::-1])


def last_attempt(folder: Path) -> int:
    """The last attempt that left a checkpoint in `folder`; 0 where none did."""
    return max((attempt for _, attempt in map(_numbers, _files(folder))), default=0)


class _Payload:
    """What torch.save writes to: the file after its first line, with its checksum taken on the way.

    The state is never held a second time. An error of the file is kept for `finish`, as torch would make a RuntimeError
    of it that does not say what is wrong.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._checksum = hashlib.sha256()
        self._error: OSError | None = None
        file.write(bytes(_HEADER))

    def write(self, part: memoryview) -> int:
        try:
            if self._error is None:
                self._checksum.update(part)
                self._file.write(part)
        except OSError as error:
            self._error = error
        return len(part)

    def flush(self) -> None:
        """Part of what torch expects of a file."""

    def finish(self) -> None:
        """Writes the first line. Raises the OSError that writing met."""
        if self._error is not None:
            raise self._error
        self._file.seek(0)
        self._file.write(_MAGIC + self._checksum.hexdigest().encode() + b"\n")


def _read(path: Path) -> dict:
    with path.open("rb") as file:
        header, payload = file.read(_HEADER), file.read()
    if header != _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n":
        raise ValueError("its checksum does not match")
    # On the CPU, as the machine that goes on may have another GPU, or none.
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.checkpoint") if _NAME.fullmatch(path.name)]


def _numbers(path: Path) -> tuple[int, int]:
    """Iteration and attempt."""
    iteration, attempt = _NAME.fullmatch(path.name).groups()
    return int(iteration), int(attempt)
