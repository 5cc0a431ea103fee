"""How the best masks of a study stand beside chance."""

import math

from ..models.masks import MaskSet
from ..spectral.coordinate import full_spectrum
from .candidates import Workbench
from .config import Study
from .files import StudyFolder
from .layerplot import plot_coordinate
from .ledger import TrialRecord
from .record import Recorder

#: Prunable weights of the largest network whose masks are held against chance: it takes as long as 17 scores of each.
MOST_WEIGHTS = 5 * 10**7


def record_standings(
    study: Study, trials: list[TrialRecord], workbench: Workbench, folder: StudyFolder, recorder: Recorder
) -> None:
    """Logs how many standard deviations each trial's mask lies above random masks of the same layer sparsities.

    That is `Standing.z` of the distance, as the study measures it, and the picture of all layers beside chance. A trial
    that has its picture is not logged again. Nothing is computed for a network of more than `MOST_WEIGHTS` prunable
    weights.
    """
    if sum(math.prod(shape) for shape in workbench.shapes.values()) > MOST_WEIGHTS:
        return
    layout = workbench.layout
    for trial in trials:
        picture = folder.trial(trial.number) / "coordinate.png"
        if picture.exists():
            continue
        masks = MaskSet.load(folder.trial(trial.number) / "mask.safetensors")
        coordinate = full_spectrum(masks, workbench.weights, layout.groups, layout.inputs_first)
        distance = coordinate.distance_chance(study.reference, study.aggregate)
        title = (
            f"{trial.label}: {study.model}, sparsity {masks.sparsity:.4g}, full-spectrum L2 distance "
            f"{distance.value:.3f} (chance {distance.mean:.3f} ± {distance.std:.3f})"
        )
        plot_coordinate(coordinate, coordinate.chance(), title, picture)
        recorder.standing(trial.label, distance, picture)
