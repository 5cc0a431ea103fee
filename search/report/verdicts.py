"""Sentences on what a study came to: whether its best mask beats the baselines, and its objective plain density."""

import numpy as np
from scipy.stats import rankdata

from ...spectral.objectives import OBJECTIVES
from ..protocol.label import CHECKS, ERK_RANDOM, INVERTED, REINITIALISED, SHUFFLED
from ..protocol.outcome import Outcome
from ..store.ledger import TrialRecord
from .comparison import Comparison, compare
from .leaderboard import Row

#: Fewest trained trials from which a rank correlation says anything at all.
FEWEST = 8

BOOTSTRAP_DRAWS = 2000


def against_baselines(rows: list[Row], images: int) -> list[str]:
    """Sentences on the best mask beside ERK-random, and beside its own shuffle, on a test split of `images`.

    Of what was not trained nothing is said.
    """
    best = next((row for row in rows if row.digest and row.accuracy_final is not None), None)
    accuracies = {row.label: row.accuracy_final for row in rows if not row.digest and row.accuracy_final is not None}
    if best is None:
        return []
    found = {label: compare([best.accuracy_final], [theirs], images) for label, theirs in accuracies.items()}
    sentences = []
    if ERK_RANDOM in found:
        beside = found[ERK_RANDOM]
        sentences.append(
            f"The best mask {beside.verb} an ERK-random one on the test split: {beside.ours:.4f} against "
            f"{beside.theirs:.4f} (95 % error of the difference {beside.error:.3f}, {images:,} images)."
        )
    if SHUFFLED in found:
        sentences.append(against_shuffle({label: found[label] for label in found if label in CHECKS}))
    return sentences


def against_shuffle(found: dict[str, Comparison]) -> str:
    """A sentence on what a mask is worth beyond its layer sparsities, from its comparisons with its checks."""
    shuffle = found[SHUFFLED]
    worth = {
        "beats": "which weights it keeps counts for something",
        "is level with": "nothing shows that it is worth more than its layer sparsities",
        "loses to": "a random choice of weights at its layer sparsities is better",
    }[shuffle.verb]
    others = [
        f"{name} {found[label].theirs:.4f}"
        for label, name in ((REINITIALISED, "on other initial weights"), (INVERTED, "with inverted scores"))
        if label in found
    ]
    more = f" ({', '.join(others)})" if others else ""
    return f"It {shuffle.verb} its own layerwise shuffle, {shuffle.theirs:.4f}: {worth}{more}."


def trust(trials: list[TrialRecord], objective: str) -> tuple[dict[str, float], str]:
    """Rank correlations (Spearman) with warm-up accuracy of the objective and of layer density, and a sentence on them.

    Only trials that finished their warm-up count, so that all accuracies are of the same iterations; the gate and the
    rungs have thinned out low scores among them, which narrows the range. The objective counts as better only where the
    95 % bootstrap interval of the difference between the two correlations lies above zero. Where it is layer density
    itself there is nothing to compare, and the interval is that of its correlation.
    """
    score, control = OBJECTIVES[objective].label, OBJECTIVES["layer_density"].label
    done = [t for t in trials if t.outcome is Outcome.FINISHED and "accuracy/val" in t.result]
    if len(done) < FEWEST:
        return {}, f"Too few trials finished their warm-up ({len(done)} of at least {FEWEST}) to judge the {score}."
    names = ("spectral/objective", "spectral/layer_density", "accuracy/val")
    columns = np.array([[t.result[name] for name in names] for t in done])
    if not np.ptp(columns, axis=0).all():
        alike = score if score == control else f"{score}, in {control}"
        return {}, f"All trials are alike in {alike} or in accuracy: nothing can be ranked."
    rho, rho_control = _rank_correlations(columns)
    metrics = {f"audit/rho_{objective}": rho, "audit/rho_layer_density": rho_control}
    draws = np.random.default_rng(0).integers(len(done), size=(BOOTSTRAP_DRAWS, len(done)))
    correlations = np.array([_rank_correlations(columns[draw]) for draw in draws])
    if score == control:
        low, high = np.nanquantile(correlations[:, 1], [0.025, 0.975])
        return metrics, (
            f"On {len(done)} finished warm-ups the {score}, here the objective and the control at once, ranks accuracy "
            f"with Spearman {rho:+.2f} (95 % interval {low:+.2f} to {high:+.2f})."
        )
    low, high = np.nanquantile(correlations[:, 0] - correlations[:, 1], [0.025, 0.975])
    verdict = "better than" if low > 0 else "worse than" if high < 0 else "no better than"
    return metrics, (
        f"On {len(done)} finished warm-ups the {score} ranks accuracy {verdict} plain {control} "
        f"(Spearman {rho:+.2f} against {rho_control:+.2f}; 95 % interval of the difference {low:+.2f} to {high:+.2f})."
    )


def _rank_correlations(columns: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation of the first and of the second column with the third; nan where a column is constant."""
    ranks = rankdata(columns, axis=0)
    ranks -= ranks.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (ranks[:, :2].T @ ranks[:, 2]) / np.sqrt((ranks[:, :2] ** 2).sum(0) * (ranks[:, 2] ** 2).sum())
    return float(first), float(second)
