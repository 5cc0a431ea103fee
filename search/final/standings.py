"""How the best masks of a study stand beside chance."""

import math

from ...models.errors import first_line
from ...models.masks import MaskSet
from ...spectral.coordinate import full_spectrum
from ..config.study import Study
from ..console import warn
from ..files import StudyFolder, write_json
from ..process.shutdown import Drain
from ..record.recorder import Recorder
from ..report.layerplot import plot_coordinate
from ..store.ledger import TrialRecord
from ..worker.workbench import Workbench

#: Masks of a study that are held against chance at most, however many are trained in full.
MOST_TRIALS = 10

#: Prunable weights of the largest network whose masks are held against chance: it takes as long as 17 scores of each.
MOST_WEIGHTS = 5 * 10**7


def record_standings(
    study: Study,
    trials: list[TrialRecord],
    workbench: Workbench,
    folder: StudyFolder,
    recorder: Recorder,
    drain: Drain,
) -> None:
    """Logs how many standard deviations each trial's mask lies above random masks of the same layer sparsities.

    That is `Standing.z` of the distance, as the study measures it, and the picture of all layers beside chance, of the
    first `MOST_TRIALS` of `trials`. Where it has been logged it is not again. Nothing is computed for a network of more
    than `MOST_WEIGHTS` prunable weights. What fails is warned of: the study has its results without it. Once `drain` is
    asked, the rest is left to a resumed study.
    """
    if sum(math.prod(shape) for shape in workbench.shapes.values()) > MOST_WEIGHTS:
        return
    for trial in trials[:MOST_TRIALS]:
        if drain.asked:
            return
        try:
            _record_standing(study, trial, workbench, folder, recorder)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the trained masks must reach the leaderboard
            warn(f"{trial.label} is not held against chance ({first_line(error)}); --resume tries it again")


def _record_standing(
    study: Study, trial: TrialRecord, workbench: Workbench, folder: StudyFolder, recorder: Recorder
) -> None:
    path = folder.trial(trial.number)
    # Written once everything is logged: what an interruption cuts short is done again, and nothing is lost.
    done = path / "standing.json"
    if done.exists():
        return
    masks, layout = MaskSet.load(path / "mask.safetensors"), workbench.layout
    coordinate = full_spectrum(masks, workbench.weights, layout.groups, layout.inputs_first)
    distance = coordinate.distance_chance(study.reference, study.aggregate)
    title = (
        f"{trial.label}: {study.model}, sparsity {masks.sparsity:.4g}, full-spectrum L2 distance "
        f"{distance.value:.3f} (chance {distance.mean:.3f} ± {distance.std:.3f})"
    )
    picture = path / "coordinate.png"
    plot_coordinate(coordinate, coordinate.chance(), title, picture)
    recorder.standing(trial.label, distance, picture)
    write_json(done, {"l2": distance.value, "mean": distance.mean, "std": distance.std, "z": distance.z})
