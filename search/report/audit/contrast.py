"""Two sets of masks side by side: by how much the one trains better than the other."""

from dataclasses import dataclass

import numpy as np

from ...files import JsonObject
from ..comparison import welch
from .columns import Numbers, Words


@dataclass(frozen=True)
class Contrast:
    """The mean accuracy of some masks less that of others."""

    difference: float
    error: float
    """Half of Welch's 95 % interval."""
    counts: tuple[int, int]
    """The masks of either."""

    @property
    def sign(self) -> int:
        """1 or -1 where the difference is beyond its error, else 0."""
        return int(self.difference > self.error) - int(self.difference < -self.error)

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        return {"difference": self.difference, "error": self.error, "masks": list(self.counts)}


def contrast(accuracy: Numbers, ours: np.ndarray, theirs: np.ndarray, groups: Words) -> Contrast | None:
    """Compare the accuracies of the masks in `ours` with those in `theirs`, both booleans, within groups.

    The difference is that of a regression on the groups and on being one of ours: with one group that of the means.
    None where no group holds both, and where there is one mask of either, which leaves no error.
    """
    _, codes = np.unique(groups, return_inverse=True)
    both = (np.bincount(codes, ours) > 0) & (np.bincount(codes, theirs) > 0)
    used = (ours | theirs) & both[codes]
    if used.sum() < 3:
        return None
    mine = ours[used]
    _, codes = np.unique(codes[used], return_inverse=True)
    sizes = np.bincount(codes)
    accuracy = accuracy[used] - (np.bincount(codes, accuracy[used]) / sizes)[codes]
    share = (np.bincount(codes, mine) / sizes)[codes]
    difference = float((accuracy * (mine - share)).sum() / ((mine - share) ** 2).sum())
    # What groups are worth is taken out, so that the rest varies with the masks alone.
    accuracy = accuracy + difference * share
    error = welch(accuracy[mine].tolist(), accuracy[~mine].tolist())
    return Contrast(difference, error, (int(mine.sum()), int((~mine).sum())))


def highest(score: Numbers, groups: Words, share: float) -> np.ndarray:
    """Return which masks are among the highest `share` of their group, rounded up, as booleans; ties are all in."""
    found = np.zeros(len(score), dtype=bool)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        # Rounded first: 0.07 * 100 is a little more than 7.
        count = int(np.ceil(round(share * len(members), 9)))
        found[members] = score[members] >= np.sort(score[members])[len(members) - count]
    return found
