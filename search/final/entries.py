"""What a study trains in full: its best masks, the baselines of every study, and the checks of its winner."""

from pathlib import Path

import ray

from ...models.data import Data
from ...models.errors import first_line
from ...models.masks import MaskSet
from ...models.networks import build
from ..config.study import Study
from ..console import warn
from ..files import StudyFolder
from ..protocol.label import BASELINES, DENSE, ERK_RANDOM, INVERTED, REINITIALISED, SHUFFLED
from ..report.leaderboard import leaderboard
from ..sampling.distribution import MaskDistribution
from ..sources import Source
from ..store.ledger import Ledger, TrialRecord
from ..worker.device import claim_device
from ..worker.workbench import Workbench
from .baselines import erk_random, inverted, other_weights, shuffled
from .training import Entry


def contestants(study: Study, best: list[TrialRecord], workbench: Workbench, folder: StudyFolder) -> list[Entry]:
    """The best masks of the study, and the two baselines of every study with the recipe of the best of them."""
    if not best:
        return []
    entries = [
        Entry(trial.label, MaskSet.load(folder.trial(trial.number) / "mask.safetensors"), trial.training)
        for trial in best
    ]
    recipe = best[0].training
    random = _saved(erk_random(workbench, study.seed), ERK_RANDOM, folder)
    return [*entries, Entry(DENSE, None, recipe), Entry(ERK_RANDOM, MaskSet.load(random), recipe, file=random)]


def checks(
    workbench: Workbench, data: ray.ObjectRef, state: ray.ObjectRef, ledger: Ledger, folder: StudyFolder
) -> list[Entry]:
    """What the winner is held against, with its own recipe: what is left of it when its choices are taken away."""
    study = workbench.study
    winner = next((row.label for row in leaderboard(ledger) if row.digest and row.accuracy_final is not None), None)
    if not study.final.checks or winner is None:
        return []
    trial = next(trial for trial in ledger.trials() if trial.label == winner)
    file = folder.trial(trial.number) / "mask.safetensors"
    masks = MaskSet.load(file)
    entries = [Entry(REINITIALISED, masks, trial.training, other_weights(study.seed), file=file, of=winner)]
    made = {SHUFFLED: shuffled(masks, study.seed)}
    # Not scored again for a training that is done already.
    if not any(done.settles(INVERTED, winner) for done in ledger.finals()):
        try:
            made[INVERTED] = inverted_by_worker(workbench, data, state, masks, trial.distribution)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the trained masks must reach the leaderboard
            warn(f"{winner} is not held against its inverted scores ({first_line(error)}); --resume tries it again")
    for label, their in made.items():
        if their is not None:
            file = _saved(their, label, folder)
            entries.append(Entry(label, their, trial.training, file=file, of=winner))
    return sorted(entries, key=lambda entry: BASELINES.index(entry.label))


def inverted_by_worker(
    workbench: Workbench, data: ray.ObjectRef, state: ray.ObjectRef, masks: MaskSet, distribution: MaskDistribution
) -> MaskSet | None:
    """`inverted`, with the scores computed where a trial computes them: the machine of the driver may have no GPU."""
    if not workbench.source(distribution.source).has_saliency:
        return None
    resources = workbench.study.resources
    task = _inverted.options(num_cpus=resources.cpus, num_gpus=resources.gpus)
    try:
        return ray.get(task.remote(workbench.study, data, state, workbench.sources, masks, distribution))
    except ray.exceptions.RayTaskError as error:
        # What the source itself says, in one line.
        raise error.cause from None


@ray.remote(max_retries=1)
def _inverted(
    study: Study, data: Data, state: dict, sources: dict[str, Source], masks: MaskSet, distribution: MaskDistribution
) -> MaskSet | None:
    device = claim_device(study.resources)
    model = build(study.model, data.task, study.seed)
    model.load_state_dict(state)
    return inverted(Workbench(study, model.to(device), data.to(device), sources), masks, distribution)


def _saved(masks: MaskSet, label: str, folder: StudyFolder) -> Path:
    """The file that a baseline's masks are written to."""
    file = folder.baseline(label)
    file.parent.mkdir(parents=True, exist_ok=True)
    return masks.save(file)
