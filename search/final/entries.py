"""The full trainings of a study: its best masks, the baselines, and the checks of its winner."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ray
from torch import Tensor

from ...models.data import Data
from ...models.errors import first_line
from ...models.masks import MaskSet
from ...models.networks import build
from ..config.study import Study
from ..console import warn
from ..files import StudyFolder
from ..names import Artifact
from ..protocol.label import (
    BASELINES,
    DENSE,
    ERK_RANDOM,
    ERK_RANDOM_EQUAL_COST,
    INVERTED,
    REINITIALISED,
    SHUFFLED,
    Label,
)
from ..protocol.outcome import Outcome
from ..protocol.training import Entry
from ..remote.scratch import at_worker
from ..report.leaderboard import winner_of
from ..sampling.distribution import MaskDistribution
from ..sources import Source
from ..store.records import TrialRecord
from ..worker.device import claim_device, task_options
from ..worker.shared import SharedInputs
from ..worker.workbench import Workbench
from ..worker.workbenches import Workbenches
from .baselines import erk_random, inverted, other_weights, shuffled

if TYPE_CHECKING:
    # A worker imports this module too, and what a driver needs takes it as long as torch does.
    from ..driver.running import RunningSearch


def finalists(trials: Sequence[TrialRecord], top_k: int | str) -> list[TrialRecord]:
    """Return the trials to be trained in full: the `top_k` best by warm-up accuracy of those that warmed up.

    With `top_k` "all", every trial that warmed up. A trial that diverged or failed is none of them. Equals are ordered
    by number.
    """
    sound = [trial for trial in trials if trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY)]
    warmed = [trial for trial in sound if trial.result.accuracy is not None]
    # A trial that was stopped at a rung has a lower fidelity: whoever warmed up for longer goes first.
    warmed.sort(key=lambda trial: (-trial.result.iterations, -(trial.result.accuracy or 0.0), trial.number))
    return warmed if isinstance(top_k, str) else warmed[:top_k]


def finalist_entries(search: "RunningSearch", best: Sequence[TrialRecord]) -> list[Entry]:
    """Return the best masks of the study, and the two baselines of every study with the recipe of the best of them."""
    if not best:
        return []
    folder = search.folder.absolute
    entries = []
    for trial in best:
        files = folder.trial(trial.number)
        masks, k = MaskSet.load(files / Artifact.MASK), trial.distribution.pretraining
        weights = _weights(folder, k)
        cost = search.workbench.source_cost(trial.distribution)
        entries.append(Entry(trial.label, masks, trial.training, pretraining=k, weights=weights, cost=cost, ends=files))
    recipe = best[0].training
    random = _saved(erk_random(search.workbench, search.study.seed), ERK_RANDOM, folder)
    masks = MaskSet.load(random)
    return [
        *entries,
        Entry(DENSE, None, recipe),
        Entry(ERK_RANDOM, masks, recipe, file=random, ends=random.parent),
    ]


def winner_entries(search: "RunningSearch") -> list[Entry]:
    """Return what depends on the winner: the random mask at its cost, and its checks where the study has any."""
    winner = winner_of(search.ledger)
    if winner is None:
        return []
    trial = next(trial for trial in search.ledger.trials() if trial.label == winner)
    entries = [*_at_equal_cost(search, trial), *(_checks(search, trial) if search.study.final.checks else [])]
    return sorted(entries, key=lambda entry: BASELINES.index(entry.label))


def _at_equal_cost(search: "RunningSearch", winner: TrialRecord) -> list[Entry]:
    """Return the mask of `erk-random`, trained from the initial weights for as many steps as the winner cost in all.

    There is none where the winner's last training is all that it cost: `erk-random` is as long already.
    """
    before = search.workbench.source_cost(winner.distribution)
    trained = next(record.end.iteration for record in search.ledger.finals() if record.label == winner.label)
    if not before or trained is None:
        return []
    folder = search.folder.absolute
    masks = MaskSet.load(folder.baseline(ERK_RANDOM))
    file = _saved(masks, ERK_RANDOM_EQUAL_COST, folder)
    iterations, ends = before + trained, file.parent
    label, recipe = ERK_RANDOM_EQUAL_COST, winner.training
    return [Entry(label, masks, recipe, iterations=iterations, file=file, of=winner.label, ends=ends)]


def _checks(search: "RunningSearch", trial: TrialRecord) -> list[Entry]:
    """Return the checks of a trial, with its own recipe: what is left of it when its choices are taken away."""
    seed, winner, distribution = search.study.seed, trial.label, trial.distribution
    file = search.folder.trial(trial.number) / Artifact.MASK
    masks = MaskSet.load(file)
    k, cost = distribution.pretraining, search.workbench.source_cost(distribution)
    weights = _weights(search.folder.absolute, k)
    own = search.folder.absolute.baseline(REINITIALISED).with_name(Artifact.WEIGHTS)
    own.parent.mkdir(parents=True, exist_ok=True)
    again, other = trial.training, other_weights(seed)
    entries = [Entry(REINITIALISED, masks, again, other, k, cost=cost, file=file, of=winner, own_weights=own)]
    made: dict[Label, MaskSet | None] = {SHUFFLED: shuffled(masks, seed)}
    # Not scored again for a training that is done already.
    if not any(done.settles(INVERTED, winner) for done in search.ledger.finals()):
        try:
            made[INVERTED] = inverted_by_worker(search.workbench, search.shared, masks, distribution)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the trained masks must reach the leaderboard
            warn(f"{winner} is not held against its inverted scores ({first_line(error)}); --resume tries it again")
    for label, baseline in made.items():
        if baseline is not None:
            file = _saved(baseline, label, search.folder)
            entries.append(Entry(label, baseline, trial.training, None, k, weights, cost, file=file, of=winner))
    return entries


def inverted_by_worker(
    workbench: Workbench, shared: SharedInputs, masks: MaskSet, distribution: MaskDistribution
) -> MaskSet | None:
    """Return `inverted`, its scores computed where a trial computes them: the driver's machine may have no GPU."""
    if not workbench.source(distribution.source).has_saliency:
        return None
    task = _inverted.options(**task_options(workbench.study.resources))
    given = (workbench.sources, workbench.folder, masks, distribution)
    reference = task.remote(workbench.study, shared.data, shared.state, *given)
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # The error of the source itself, in one line.
        raise error.cause from None


@ray.remote(max_retries=1)
def _inverted(
    study: Study,
    data: Data,
    state: dict[str, Tensor],
    sources: dict[str, Source],
    folder: StudyFolder | None,
    masks: MaskSet,
    distribution: MaskDistribution,
) -> MaskSet | None:
    device = claim_device(study.resources)
    here = at_worker(folder) if folder is not None else None
    model = build(study.model, data.task, study.seed)
    model.load_state_dict(state)
    start = Workbench(study, model.to(device), data.to(device), sources, here)
    return inverted(Workbenches(start).of(distribution), masks, distribution)


def _weights(folder: StudyFolder, pretraining: int) -> Path | None:
    """Return the file of the weights that a training starts from; None where these are the initial ones."""
    return folder.pretrained_weights(pretraining) if pretraining else None


def _saved(masks: MaskSet, label: Label, folder: StudyFolder) -> Path:
    """Write a baseline's masks, and return their file."""
    file = folder.baseline(label)
    file.parent.mkdir(parents=True, exist_ok=True)
    return masks.save(file)
