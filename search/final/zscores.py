"""The z-scores of a study's best masks: how far they lie above chance."""

import math
from collections.abc import Sequence

from ...models.errors import first_line
from ...models.masks import MaskSet
from ...spectral.coordinate import full_spectrum
from ..console import warn
from ..driver.running import RunningSearch
from ..files import write_json
from ..names import Artifact
from ..report.layerplot import plot_coordinate
from ..store.records import TrialRecord

#: Masks of a study that are held against chance at most, however many are trained in full.
MOST_TRIALS = 10

#: Prunable weights of the largest network whose masks are held against chance: it takes as long as 17 scores of each.
MOST_WEIGHTS = 5 * 10**7

_DONE = "standing.json"


def compare_with_chance(search: RunningSearch, trials: Sequence[TrialRecord]) -> None:
    """Compute how many standard deviations each trial's mask lies above random masks of the same layer sparsities.

    That is `ZScore.z` of the distance, as the study measures it, and the picture of all layers beside chance, of the
    first `MOST_TRIALS` of `trials`. What has been announced is not computed again. Nothing is computed for a network of
    more than `MOST_WEIGHTS` prunable weights. A failure is a warning: the study has its results without it. Once a
    shutdown is requested, the rest is left to a resumed study.
    """
    if sum(math.prod(shape) for shape in search.workbench.shapes.values()) > MOST_WEIGHTS:
        return
    for trial in trials[:MOST_TRIALS]:
        if search.shutdown.requested:
            return
        try:
            _compare(search, trial)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the trained masks must reach the leaderboard
            warn(f"{trial.label} is not held against chance ({first_line(error)}); --resume tries it again")


def _compare(search: RunningSearch, trial: TrialRecord) -> None:
    study, workbench, folder = search.study, search.benches.of(trial.distribution), search.folder.trial(trial.number)
    # Written once everything is announced: what an interruption cuts short is done again, and nothing is lost.
    done = folder / _DONE
    if done.exists():
        return
    masks, layout = MaskSet.load(folder / Artifact.MASK), workbench.layout
    coordinate = full_spectrum(
        masks,
        workbench.weights,
        layout.groups,
        layout.inputs_first,
        variant=study.variant,
        start=workbench.start_weights,
        cache=workbench.setting.spectra,
    )
    distance = coordinate.distance_chance(study.reference, study.aggregate)
    title = (
        f"{trial.label}: {study.model}, sparsity {masks.sparsity:.4g}, full-spectrum L2 distance "
        f"{distance.value:.3f} (chance {distance.mean:.3f} ± {distance.std:.3f})"
    )
    picture = folder / Artifact.COORDINATE_PICTURE
    plot_coordinate(coordinate, coordinate.chance(), title, picture)
    search.listeners.compared_with_chance(trial.label, distance, picture)
    write_json(done, {"l2": distance.value, "mean": distance.mean, "std": distance.std, "z": distance.z})
