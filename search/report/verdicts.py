"""Sentences on what a study came to: whether its best mask beats the baselines, and its objective plain density."""

from collections.abc import Mapping

import numpy as np
from scipy.stats import rankdata

from ..names import Metric
from ..protocol.label import ERK_RANDOM, ERK_RANDOM_EQUAL_COST, INVERTED, REINITIALISED, SHUFFLED, Label
from ..protocol.outcome import Outcome
from ..scores.registry import score_called
from ..store.records import TrialRecord
from .comparison import Comparison, compare
from .leaderboard import Row

#: Fewest trained trials from which a rank correlation says anything at all.
FEWEST = 8

#: Draws of the bootstrap that gives the intervals.
BOOTSTRAP_DRAWS = 2000

#: What it means that a mask beats its own shuffle, or does not.
_WORTH = {
    "beats": "which weights it keeps counts for something",
    "is level with": "nothing shows that it is worth more than its layer sparsities",
    "loses to": "a random choice of weights at its layer sparsities is better",
}


def against_baselines(rows: list[Row], images: int) -> list[str]:
    """Return sentences on the best mask beside ERK-random and beside its own shuffle, on a test split of `images`.

    It is held against the random mask at equal cost, where that is another than the one trained as long as its last
    training. There is no sentence on what was not trained.
    """
    trained = {row.label: row.accuracy_final for row in rows if row.accuracy_final is not None}
    best = next((row.label for row in rows if row.label in trained and not row.is_baseline), None)
    if best is None:
        return []
    baselines = [row.label for row in rows if row.label in trained and row.is_baseline]
    found = {label: compare([trained[best]], [trained[label]], images) for label in baselines}
    sentences = []
    if ERK_RANDOM_EQUAL_COST in found or ERK_RANDOM in found:
        costs = {row.label: row.cost for row in rows if row.cost is not None}
        sentences.append(_against_random(best, found, costs, images))
    if SHUFFLED in found:
        sentences.append(against_shuffle("It", found))
    return sentences


def _against_random(best: Label, found: Mapping[Label, Comparison], costs: Mapping[Label, int], images: int) -> str:
    """Return the sentence on the mask `best` beside the random masks in `found`; `costs` holds the costs by label."""
    label = ERK_RANDOM_EQUAL_COST if ERK_RANDOM_EQUAL_COST in found else ERK_RANDOM
    beside, ours, theirs = found[label], costs.get(best), costs.get(label)
    numbers = f"{beside.ours:.4f} against {beside.theirs:.4f}"
    if ours is not None and ours == theirs:
        numbers += f", each for {ours:,} steps in all"
    elif ours is not None and theirs is not None:
        numbers = f"{beside.ours:.4f} for {ours:,} steps in all against {beside.theirs:.4f} for {theirs:,}"
    shorter = ""
    if label != ERK_RANDOM and ERK_RANDOM in found:
        shorter = f"; one trained only as long as its last training reaches {found[ERK_RANDOM].theirs:.4f}"
    return (
        f"The best mask {beside.verb} an ERK-random one on the test split: {numbers} "
        f"(95 % error of the difference {beside.error:.3f}, {images:,} images){shorter}."
    )


def against_shuffle(subject: str, found: Mapping[Label, Comparison]) -> str:
    """Return a sentence on what the mask called `subject` is worth beyond its layer sparsities.

    `found` holds its comparisons with its checks by their labels, the shuffle among them.
    """
    shuffle = found[SHUFFLED]
    others = [
        f"{name} {found[label].theirs:.4f}"
        for label, name in ((REINITIALISED, "on other initial weights"), (INVERTED, "with inverted scores"))
        if label in found
    ]
    more = f" ({', '.join(others)})" if others else ""
    return f"{subject} {shuffle.verb} its own layerwise shuffle, {shuffle.theirs:.4f}: {_WORTH[shuffle.verb]}{more}."


def trust(trials: list[TrialRecord], objective: str) -> tuple[dict[str, float], str]:
    """Return rank correlations (Spearman) of the objective and of layer density with accuracy, and a sentence on them.

    Only trials that finished their warm-up count, so that all accuracies are of the same iterations; the gate and the
    rungs have thinned out low scores among them, which narrows the range. The objective counts as better only where the
    95 % bootstrap interval of the difference between the two correlations lies above zero. Where it is layer density
    itself there is nothing to compare, and the interval is that of its correlation.
    """
    score, control = score_called(objective).label, score_called("layer_density").label
    done = [t for t in trials if t.outcome is Outcome.FINISHED and t.result.accuracy is not None]
    if len(done) < FEWEST:
        return {}, f"Too few trials finished their warm-up ({len(done)} of at least {FEWEST}) to judge the {score}."
    columns = np.array([[t.result.objective, t.result.metrics[Metric.LAYER_DENSITY], t.result.accuracy] for t in done])
    if not np.ptp(columns, axis=0).all():
        alike = score if score == control else f"{score}, in {control}"
        return {}, f"All trials are alike in {alike} or in accuracy: nothing can be ranked."
    rho, rho_control = _rank_correlations(columns)
    metrics = {Metric.rho(objective): rho, Metric.RHO_LAYER_DENSITY: rho_control}
    draws = _bootstrap(columns)
    if score == control:
        low, high = np.nanquantile(draws[:, 1], [0.025, 0.975])
        return metrics, (
            f"On {len(done)} finished warm-ups the {score}, here the objective and the control at once, ranks accuracy "
            f"with Spearman {rho:+.2f} (95 % interval {low:+.2f} to {high:+.2f})."
        )
    low, high = np.nanquantile(draws[:, 0] - draws[:, 1], [0.025, 0.975])
    verdict = "better than" if low > 0 else "worse than" if high < 0 else "no better than"
    return metrics, (
        f"On {len(done)} finished warm-ups the {score} ranks accuracy {verdict} plain {control} "
        f"(Spearman {rho:+.2f} against {rho_control:+.2f}; 95 % interval of the difference {low:+.2f} to {high:+.2f})."
    )


def _bootstrap(columns: np.ndarray) -> np.ndarray:
    """Return both rank correlations of each bootstrap draw, shape (draws, 2)."""
    draws = np.random.default_rng(0).integers(len(columns), size=(BOOTSTRAP_DRAWS, len(columns)))
    return np.array([_rank_correlations(columns[draw]) for draw in draws])


def _rank_correlations(columns: np.ndarray) -> tuple[float, float]:
    """Return Spearman's correlation of the first and of the second column with the third; nan for a constant one."""
    ranks = rankdata(columns, axis=0)
    ranks -= ranks.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (ranks[:, :2].T @ ranks[:, 2]) / np.sqrt((ranks[:, :2] ** 2).sum(0) * (ranks[:, 2] ** 2).sum())
    return float(first), float(second)
