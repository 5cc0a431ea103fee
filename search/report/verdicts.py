"""Sentences on the best mask of a study: whether it learned, whether it beats the baselines and its own shuffle."""

from collections.abc import Mapping, Sequence

from ..protocol.label import DENSE, ERK_RANDOM, ERK_RANDOM_EQUAL_COST, INVERTED, REINITIALISED, SHUFFLED, Label
from .comparison import Comparison, compare, interval, is_chance
from .leaderboard import Row

#: What it means that a mask beats its own shuffle, or does not.
_WORTH = {
    "beats": "which weights it keeps counts for something",
    "is level with": "nothing shows that it is worth more than its layer sparsities",
    "loses to": "a random choice of weights at its layer sparsities is better",
}


#: How a study may learn in which nothing was learned.
WAYS = (
    "Train for longer (warmup.iterations, final.epochs), at a lower sparsity, or with another learning rate "
    "(training.learning_rate)"
)


def against_baselines(rows: Sequence[Row], images: int, classes: int) -> list[str]:
    """Return sentences on the best mask beside ERK-random and beside its own shuffle, on a test split of `images`.

    It is held against the random mask at equal cost, where that is another than the one trained as long as its last
    training. There is no sentence on what was not trained. Where the best mask is no better than guessing one of the
    `classes`, that alone is said.
    """
    trained = {row.label: row.accuracy_final for row in rows if row.accuracy_final is not None}
    best = next((row.label for row in rows if row.label in trained and not row.is_baseline), None)
    if best is None:
        return []
    if is_chance(trained[best], images, classes):
        return [_nothing_learned(best, trained, images, classes)]
    baselines = [row.label for row in rows if row.label in trained and row.is_baseline]
    found = {label: compare([trained[best]], [trained[label]], images) for label in baselines}
    sentences = []
    if ERK_RANDOM_EQUAL_COST in found or ERK_RANDOM in found:
        costs = {row.label: row.cost for row in rows if row.cost is not None}
        sentences.append(_against_random(best, found, costs, images))
    if SHUFFLED in found:
        sentences.append(against_shuffle("It", found))
    return sentences


def _nothing_learned(best: Label, trained: Mapping[Label, float], images: int, classes: int) -> str:
    """Return the sentence on a best mask at chance level; what the dense network reached says where to look."""
    low, high = interval([trained[best]], images)
    dense, beside = trained.get(DENSE), ""
    if dense is not None:
        learned = not is_chance(dense, images, classes)
        beside = f" The dense network reaches {dense:.4f} by the same recipe."
        beside = beside if learned else " The dense network does not learn by this recipe either."
    return (
        f"Nothing was learned: {best}, the best mask, is at chance level on the test split, {trained[best]:.4f} "
        f"(95 % interval {low:.3f} to {high:.3f}, {images:,} images); guessing one of {classes:,} classes gives "
        f"{1 / classes:.4f}, and nothing can be compared before a mask learns.{beside} {WAYS}."
    )


def headline(rows: Sequence[Row], images: int, classes: int) -> str:
    """Return in few words what the best mask does beside a random one on a test split of `images`; "" if untrained."""
    trained = {row.label: row.accuracy_final for row in rows if row.accuracy_final is not None}
    best = next((row.label for row in rows if row.label in trained and not row.is_baseline), None)
    random = next((label for label in (ERK_RANDOM_EQUAL_COST, ERK_RANDOM) if label in trained), None)
    if best is None or random is None:
        return ""
    if is_chance(trained[best], images, classes):
        return f"at chance level on the test split, {trained[best]:.3f}: nothing was learned"
    beside, costs = compare([trained[best]], [trained[random]], images), {row.label: row.cost for row in rows}
    equal = " at equal cost" if costs[best] == costs[random] else ""
    return f"{beside.verb} an ERK-random one{equal}, {beside.ours:.3f} against {beside.theirs:.3f} on the test split"


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
