"""Checkpoints of a training: each is written whole or not at all, and the one before it is kept."""

import hashlib
import io
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from ...models.errors import first_line
from ...models.files import open_atomically
from ..console import warn
from ..remote.mirror import NO_COPIES, Mirror

#: Files that are kept: the newest, and the one before in case the newest cannot be read.
_KEPT = 2

_NAME = re.compile(r"iteration-(\d+)-attempt-(\d+)\.checkpoint")
_MAGIC = b"fullspectrum checkpoint 1 sha256 "
_HEADER = len(_MAGIC) + hashlib.sha256().digest_size * 2 + 1


class Checkpoints:
    """The checkpoints of one training in a folder of their own, written by its `attempt` (from 1).

    A file is one line that ends with the SHA-256 of the rest, then the output of `torch.save`. Its name has the
    iteration and the attempt, so that a worker that was given up, and lives on, touches no file of a later attempt.
    Another machine goes on from them by the `mirror`.
    """

    def __init__(self, folder: Path, attempt: int = 1, mirror: Mirror = NO_COPIES):
        self.folder = folder
        self._attempt = attempt
        self.mirror = mirror

    def part(self, name: str) -> "Checkpoints":
        """Return the checkpoints of a part of the work, in a folder within this one."""
        return Checkpoints(self.folder / name, self._attempt, self.mirror)

    def save(self, state: Mapping[str, Any]) -> Path:
        """Write `state`, whose "iteration" is the number of steps done, and delete all but the last two checkpoints.

        Where the state cannot be written, the checkpoints before it stay. Raise InputError with the cause: a full disk,
        for example.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"iteration-{state['iteration']:08d}-attempt-{self._attempt}.checkpoint"
        with open_atomically(path) as file:
            payload = _Payload(file)
            torch.save(state, cast(BinaryIO, payload))
            payload.finish()
        self.mirror.push(path)
        for old in self._in_order_of_writing()[:-_KEPT]:
            # Another process may have been faster.
            self.mirror.remove(old)
        return path

    def load(self) -> dict[str, Any] | None:
        """Return the state with the most iterations of those that can be read; None where there is none."""
        return next(self.states(), None)

    def states(self) -> Iterator[dict[str, Any]]:
        """Yield the states that can be read, with tensors on the CPU, most iterations first; warn of the others."""
        self.mirror.pull_all(self.folder)
        for path in sorted(_files(self.folder), key=_numbers, reverse=True):
            try:
                yield _read(path)
            except (OSError, ValueError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
                warn(f"{path} cannot be read ({first_line(error)}); the checkpoint before it is taken, if there is one")

    def clear(self) -> None:
        """Delete the folder; it need not be there."""
        self.mirror.remove(self.folder)

    def _in_order_of_writing(self) -> list[Path]:
        """Return the files of this attempt and of those before it.

        A later attempt may have begun at an earlier iteration, so that the number of iterations gives no order.
        """
        own = [path for path in _files(self.folder) if _numbers(path)[1] <= self._attempt]
        return sorted(own, key=lambda path: _numbers(path)[::-1])


def last_attempt(folder: Path, mirror: Mirror = NO_COPIES) -> int:
    """Return the last attempt that left a checkpoint in `folder`; 0 where none did."""
    names = filter(_NAME.fullmatch, mirror.names(folder))
    return max((attempt for _, attempt in map(_numbers, map(Path, names))), default=0)


def next_checkpoints(folder: Path, mirror: Mirror = NO_COPIES) -> Checkpoints:
    """Return the checkpoints in `folder`, written by the attempt after the last one that left any."""
    return Checkpoints(folder, last_attempt(folder, mirror) + 1, mirror)


class _Payload:
    """The part of a file after its first line, for torch.save to write to; computes its checksum on the way.

    The state is never held in memory a second time. An error of the file is kept for `finish`: torch would turn it into
    a RuntimeError without the cause.
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
        """Do nothing; torch expects this method of a file."""

    def finish(self) -> None:
        """Write the first line. Raise the OSError that an earlier `write` met."""
        if self._error is not None:
            raise self._error
        self._file.seek(0)
        self._file.write(_MAGIC + self._checksum.hexdigest().encode() + b"\n")


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        header, payload = file.read(_HEADER), file.read()
    if header != _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n":
        raise ValueError("its checksum does not match")
    # On the CPU, as the machine that goes on may have another GPU, or none.
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.checkpoint") if _NAME.fullmatch(path.name)]


def _numbers(path: Path) -> tuple[int, int]:
    """Return iteration and attempt of a checkpoint's file."""
    _, iteration, _, attempt = path.stem.split("-")
    return int(iteration), int(attempt)
