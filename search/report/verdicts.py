"""Sentences on the best mask of a study: whether it beats the baselines, and its own shuffle."""

from collections.abc import Mapping

from ..protocol.label import ERK_RANDOM, INVERTED, REINITIALISED, SHUFFLED, Label
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

    There is no sentence on what was not trained.
    """
    trained = {row.label: row.accuracy_final for row in rows if row.accuracy_final is not None}
    best = next((row.label for row in rows if row.label in trained and not row.is_baseline), None)
    if best is None:
        return []
    baselines = [row.label for row in rows if row.label in trained and row.is_baseline]
    found = {label: compare([trained[best]], [trained[label]], images) for label in baselines}
    sentences = []
    if ERK_RANDOM in found:
        beside = found[ERK_RANDOM]
        sentences.append(
            f"The best mask {beside.verb} an ERK-random one on the test split: {beside.ours:.4f} against "
            f"{beside.theirs:.4f} (95 % error of the difference {beside.error:.3f}, {images:,} images)."
        )
    if SHUFFLED in found:
        sentences.append(against_shuffle("It", found))
    return sentences


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
