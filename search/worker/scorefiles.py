"""The scores of sources that train, on disk: computed once for a study, by the worker that needs them first."""

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...models.errors import InputError
from ...models.training import Diverged
from ...models.weights import load_state, save_state
from ..console import warn
from ..files import StudyFolder, write_json
from ..remote.mirror import Mirror, mirror_of
from ..resumable.training import LeaveRequested

#: Seconds between two looks at scores that another worker computes.
_WAIT = 0.2

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class ScoreFiles:
    """The scores of a study in `folder`, a file for each key, shared by all of its workers.

    A worker that needs scores that nobody has computed computes them while it holds a lock; others wait for them. The
    system releases the lock when its owner dies, and the next worker goes on from the owner's checkpoints. Machines
    that share files through an object store see no lock of each other: each computes what it does not find there, to
    the same scores, and saves no time by waiting.
    """

    folder: StudyFolder

    def get(self, key: str, compute: Callable[[Path], Scores]) -> Scores:
        """Return the scores called `key`; where there are none, what `compute` makes of a folder for checkpoints.

        Raises Diverged where the training behind them diverged, now or for another worker; LeaveRequested where the
        study's workers are asked to leave while another one computes.
        """
        name = f"{''.join(c if c.isalnum() else '-' for c in key)[:60]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        file = self.folder.scores / f"{name}.safetensors"
        if (found := _read(file)) is not None:
            return found
        divergence = file.with_suffix(".diverged.json")
        with self._locked(file.with_suffix(".lock")):
            # Another worker may have computed them while this one waited, or on another machine.
            self._mirror.pull(file, divergence)
            if (found := _read(file)) is not None:
                return found
            _raise_known(divergence)
            checkpoints = self.folder.checkpoints(f"scores {name}")
            try:
                scores = compute(checkpoints)
            except Diverged as error:
                # It would diverge again for every trial that wants these scores.
                write_json(divergence, {"iteration": error.iteration, "loss": str(error.loss)})
                self._mirror.push(divergence)
                raise
            save_state(file, {layer: torch.from_numpy(values) for layer, values in scores.items()}, {"key": key})
            # On a GPU those of another machine may differ in their last bits: the first ones are everybody's.
            self._mirror.push_first(file)
            self._mirror.remove(checkpoints)
            return _read(file) or scores

    @property
    def _mirror(self) -> Mirror:
        return mirror_of(self.folder)

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self._mirror.marker(self.folder.leave).exists():
                        raise LeaveRequested("left while another worker scores") from None
                time.sleep(_WAIT)
            yield


def _read(file: Path) -> Scores | None:
    """Return the scores of a file; None where there is none, or none that can be read."""
    if not file.exists():
        return None
    try:
        return {name: tensor.numpy() for name, tensor in load_state(file).items()}
    except InputError as error:
        warn(f"{error}; these scores are computed again")
        return None


def _raise_known(divergence: Path) -> None:
    """Raise Diverged where the file says that the training did."""
    if divergence.exists():
        known = json.loads(divergence.read_text())
        raise Diverged(known["iteration"], float(known["loss"]))
