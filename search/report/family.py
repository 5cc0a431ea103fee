"""A family of studies: what each sparsity came to over its replicates."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..config.study import Study
from ..protocol.label import DENSE, ERK_RANDOM, ERK_RANDOM_EQUAL_COST
from .comparison import Comparison, Mean, compare_pairs, mean
from .leaderboard import Row


@dataclass(frozen=True)
class Level:
    """The replicates of one sparsity that came to a mask trained in full; accuracies are those of the test split."""

    sparsity: float
    winners: list[Row]
    """The best mask of each replicate."""
    winner: Mean
    random: Mean | None
    """The random masks of ERK layer sparsities; where a replicate has one trained at its winner's cost, that one."""
    dense: Mean | None
    beside: Comparison | None
    """Winner beside random mask, replicate by replicate; None where there are no random ones."""

    @property
    def sentence(self) -> str | None:
        """What the winners are worth beside random masks; None where there are none."""
        if self.beside is None:
            return None
        replicates = f" (mean of {len(self.winners)} replicates)" if len(self.winners) > 1 else ""
        return (
            f"At sparsity {self.sparsity:g} the best mask{replicates} {self.beside.verb} an ERK-random one at equal "
            f"cost: {self.beside.ours:.4f} against {self.beside.theirs:.4f} (95 % error of the difference "
            f"{self.beside.error:.3f})."
        )


def levels(members: Sequence[tuple[Study, Sequence[Row]]], images: int) -> list[Level]:
    """Return what the studies of a family came to, the sparsest last; `images` is the number of test images.

    `members` holds each study with its leaderboard.
    """
    by_sparsity: dict[float, list[Sequence[Row]]] = {}
    for study, rows in members:
        by_sparsity.setdefault(study.global_sparsity, []).append(rows)
    found = (_level(sparsity, by_sparsity[sparsity], images) for sparsity in sorted(by_sparsity))
    return [level for level in found if level is not None]


def _level(sparsity: float, leaderboards: Sequence[Sequence[Row]], images: int) -> Level | None:
    winners, randoms, dense, pairs = [], [], [], []
    for rows in leaderboards:
        trained = {row.label: row.accuracy_final for row in rows if row.accuracy_final is not None}
        winner = next((row for row in rows if row.label in trained and not row.is_baseline), None)
        if winner is None:
            continue
        winners.append(winner)
        random = trained.get(ERK_RANDOM_EQUAL_COST, trained.get(ERK_RANDOM))
        if random is not None:
            randoms.append(random)
            pairs.append((trained[winner.label], random))
        if DENSE in trained:
            dense.append(trained[DENSE])
    if not winners:
        return None
    return Level(
        sparsity,
        winners,
        mean([row.accuracy_final for row in winners if row.accuracy_final is not None]),
        mean(randoms) if randoms else None,
        mean(dense) if dense else None,
        compare_pairs(pairs, images) if pairs else None,
    )
