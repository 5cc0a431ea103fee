"""Sentences on the best mask of a study: whether it beats the baselines, and its own shuffle."""

from collections.abc import Mapping

from ..protocol.label import ERK_RANDOM, ERK_RANDOM_EQUAL_COST, INVERTED, REINITIALISED, SHUFFLED, Label
from .comparison import Comparison, compare
from .leaderboard import Row

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
