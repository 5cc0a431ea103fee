"""The registry of scores; a new one is a file of its own and a line here. Nothing of a score is imported here."""

from typing import TYPE_CHECKING

from ...models.registry import Registry

if TYPE_CHECKING:
    from ...spectral.objectives import Objective

#: The full-spectrum distance, the one score that has settings of its own, `reference` and `aggregate`.
DISTANCE = "l2"

#: The score that is fitted to what warm-ups came to; see `learned`.
LEARNED = "learned"

#: Each is an `Objective`; a user's own is a class that makes one.
SCORES = Registry(
    "objective",
    __package__,
    {
        DISTANCE: "...spectral.objectives:L2",
        "imdb": "...spectral.objectives:IMDB",
        "ramanujan_gap": "...spectral.objectives:RAMANUJAN_GAP",
        "weighted_gap": "...spectral.objectives:WEIGHTED_GAP",
        "imsg": "...spectral.objectives:IMSG",
        "l2_authors": "...spectral.objectives:L2_AUTHORS",
        "layer_density": "...spectral.objectives:LAYER_DENSITY",
        "log_density": "...spectral.objectives:LOG_DENSITY",
        "live_channels": "...spectral.objectives:LIVE_CHANNELS",
        "kept_magnitude": "...spectral.objectives:KEPT_MAGNITUDE",
        LEARNED: ".learned:LEARNED",
    },
    users="module:Class",
)


def score_called(name: str) -> "Objective":
    """Return the score called `name`, the distance with its default settings.

    Raises InputError for a name that nothing has, and for a user's that is none.
    """
    # Here, because names are checked without what computes.
    from ...spectral.objectives import Objective

    return SCORES.make(name, Objective) if SCORES.is_users(name) else SCORES.find(name)


def all_scores(objectives: tuple[str, ...], reference: str, aggregate: str) -> dict[str, "Objective"]:
    """Return every score of the registry and a user's own among `objectives`, by name.

    `reference` and `aggregate` are those of the distance; the learned score combines all the others, by the ranking
    that comes with the package. Raises InputError as `score_called` does.
    """
    from ...spectral.objectives import Distance

    own = [name for name in objectives if SCORES.is_users(name)]
    scores = {name: score_called(name) for name in (*SCORES, *own)} | {DISTANCE: Distance(reference, aggregate)}
    return scores | {LEARNED: SCORES[LEARNED].of(scores)}
