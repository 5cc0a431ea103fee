"""The first phase of a search: the dense training that its masks start from, once for all of its workers."""

from typing import TYPE_CHECKING

import ray
from torch import Tensor

from ...models.data import Data
from ...models.errors import InputError
from ...models.networks import build
from ...models.weights import init_digest, load_state, save_state
from ..config.study import Study
from ..console import warn
from ..files import StudyFolder, storage_failure
from ..remote.mirror import mirror_of
from ..remote.scratch import at_worker
from ..resumable.checkpoints import next_checkpoints
from ..resumable.training import LeaveRequested
from ..worker.device import claim_device, task_options
from ..worker.pretraining import pretrain

if TYPE_CHECKING:
    # The worker imports this module too, and what a driver needs takes it as long as torch does.
    from .running import RunningSearch

_LABEL = "pretraining"


def make_pretrained_weights(search: "RunningSearch") -> None:
    """Train the dense network as far as the study's trials want it, and write the weights after each number of steps.

    What an earlier driver wrote is kept. A worker that dies costs a checkpoint interval, `faults.retries` times.
    Returns early where a shutdown is requested, also where nothing can be written. Raises InputError where the training
    diverges, or its worker died too often.
    """
    study, folder = search.study, search.folder.absolute
    digests = {k: _digest(folder, k) for k in study.pretraining.each}
    if missing := [k for k, digest in digests.items() if k and digest is None]:
        plural = "" if max(missing) == 1 else "s"
        search.listeners.noticed(f"dense pretraining for {max(missing):,} iteration{plural}, once for all trials")
        # It goes on from its checkpoints, so that Ray's own retries will do.
        task = _pretrain.options(max_retries=study.faults.retries, **task_options(study.resources))
        work = task.remote(study, search.shared.data, search.shared.state, missing, folder)
        while not search.shutdown.overdue:
            if ray.wait([work], timeout=1.0)[0]:
                break
        else:
            return
        try:
            left = ray.get(work)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise InputError(
                f"the worker of the dense pretraining died {study.faults.retries + 1} times; go on with --resume"
            ) from error
        if left is not None:
            if left:
                search.shutdown.request(left)
            return
        digests |= {k: _digest(folder, k) for k in missing}
    known = {k: digest for k, digest in digests.items() if digest}
    search.listeners.weights_ready(known, [folder.pretrained_weights(k) for k in digests if k])


def _digest(folder: StudyFolder, iterations: int) -> str | None:
    """Return the digest of the weights after so many iterations; None where they are not there, or cannot be read."""
    file = folder.pretrained_weights(iterations)
    mirror_of(folder).pull(file)
    if not file.exists():
        return None
    try:
        return init_digest(load_state(file))
    except InputError as error:
        warn(f"{error}; they are trained again")
        return None


@ray.remote
def _pretrain(study: Study, data: Data, state: dict[str, Tensor], each: list[int], folder: StudyFolder) -> str | None:
    """Write the weights after `each` number of iterations; return None where that is done.

    Otherwise why the file system cannot be written to, or nothing where the worker left on request. Here, because the
    cause of an error does not reach the driver.
    """
    model = build(study.model, data.task, study.seed)
    model.load_state_dict(state)
    model = model.to(claim_device(study.resources))
    folder = at_worker(folder)
    mirror = mirror_of(folder)
    leave, checkpoints = mirror.marker(folder.leave), next_checkpoints(folder.checkpoints(_LABEL), mirror)
    try:
        for iterations, weights in pretrain(study, model, data, each, study.seed, checkpoints, leave):
            file = folder.pretrained_weights(iterations)
            file.parent.mkdir(parents=True, exist_ok=True)
            save_state(file, weights, {_LABEL: str(iterations)})
            mirror.push(file)
    except LeaveRequested:
        return ""
    except (InputError, OSError) as error:
        if reason := storage_failure(error):
            return reason
        raise
    checkpoints.clear()
    return None
