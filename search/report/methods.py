"""How the numbers of a report were obtained."""

from ..protocol.network import images_of
from ..scores.registry import DISTANCE, LEARNED, score_called
from .audit.interval import DRAWS
from .contents import Contents
from .facts import StudyFacts
from .historyplot import search_costs
from .searchcost import pretrained_again

#: What is the same for every study.
_INTERVAL = (
    "Wilson's 95 % interval of one proportion. It holds the choice of test images. The spread over training seeds is "
    "not in it, as each mask was trained once: for that, compare studies of several seeds (fullspectrum compare)."
)
_DIFFERENCE = (
    "The 95 % interval of two independent proportions by Agresti and Caffo. That masks share their test images makes "
    "it rather too wide than too narrow."
)
_EQUAL_COST = (
    "erk-random-equal-cost: layer sparsities by ERK, weights at random, trained for as many optimizer steps as the "
    "winner cost in all. Where the winner's last training is all of its cost, that is erk-random."
)
_CORRELATION = (
    f"Spearman's, with percentile bootstrap intervals of {DRAWS:,} resamples; given a control, the partial correlation "
    "of ranks."
)
_GATE = "The difference of mean accuracies from its control group, with Welch's 95 % interval."


def methods(contents: Contents) -> dict[str, str]:
    """Return how each thing was measured, in a sentence or two each, by what it is."""
    facts = contents.facts
    found = {
        "Data": _data(facts),
        "Seed": f"{facts.study.seed}; the initial weights and every draw derive from it.",
        "Score": _score(facts),
        "Pretraining": _pretraining(facts),
        "Warm-up": _warmup(facts),
        "Full training": _full_training(facts),
        "Interval of an accuracy": _INTERVAL,
        "Difference of two accuracies": _DIFFERENCE,
        "Random mask at equal cost": _EQUAL_COST,
        "Rank correlations": _CORRELATION,
        "Benefit of the gate": _GATE,
        "Cost": _cost(facts),
    }
    return {what: how for what, how in found.items() if how}


def _data(facts: StudyFacts) -> str:
    images = images_of(facts.network)
    if images is None:
        return f"{facts.study.data}; how many images each split has is not known."
    return (
        f"{facts.study.data}, {facts.classes:,} classes: {images['train']:,} images to train on, {images['val']:,} for "
        f"validation, by which everything is decided, and {images['test']:,} for the test, which decides nothing."
    )


def _score(facts: StudyFacts) -> str:
    study = facts.study
    names = ", ".join(f"{name} ({score_called(name).label})" for name in study.objectives if name != "accuracy")
    distance = ""
    if {DISTANCE, LEARNED} & {*study.objectives}:
        distance = f"; the distance is the {study.aggregate.replace('_', ' ')} over layers, from {study.reference}"
    return f"{names}, of the coordinate in the variant {study.variant}{distance}."


def _pretraining(facts: StudyFacts) -> str:
    each = facts.study.pretraining.each
    if each == [0]:
        return "None: masks are chosen at initialisation."
    return f"{' or '.join(f'{k:,}' for k in each)} dense iterations before masks are chosen."


def _warmup(facts: StudyFacts) -> str:
    warmup = facts.study.warmup
    if not warmup.iterations:
        return ""
    rungs = ", ".join(f"{rung:,}" for rung in warmup.rungs)
    compared = f", compared at {rungs} by {warmup.metric.replace('_', ' ')}" if rungs else ""
    return (
        f"{warmup.iterations:,} iterations, measured every {warmup.report_every:,} on the validation split{compared}."
    )


def _full_training(facts: StudyFacts) -> str:
    final = facts.study.final
    which = "every mask that warmed up" if final.top_k == "all" else f"the {final.top_k} best masks by warm-up accuracy"
    return f"{final.epochs:,} epochs of {which}. The best mask is that of the highest validation accuracy after it."


def _cost(facts: StudyFacts) -> str:
    words = "All optimizer steps that a result needed, from the initial weights on; pretraining and the source's count."
    costs = search_costs(facts.trials)
    trained = sum(final.end.iteration or 0 for final in facts.finals) + pretrained_again(facts.trials, facts.finals)
    if not costs or not costs[-1] + trained:
        return words
    return f"{words} The search ran {costs[-1]:,} up to its last trial, and {trained:,} in full trainings."
