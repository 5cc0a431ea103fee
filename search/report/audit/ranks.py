"""Spearman's rank correlation, also within groups and given a third column, of many resamples at once."""

import numpy as np

from .columns import Numbers, Words

#: Below this share of its variance a column holds nothing but what the other one says.
_NOTHING = 1e-9


class RankedColumn:
    """A column whose rows are ranked within groups, as often as they are resampled.

    A rank, the mean one of ties, is divided by the size of its group plus 1 and less a half: in ]−1/2, 1/2[, with mean
    0 in each group, so that groups of all sizes count by their rows (van Elteren, 1960; Taylor, Biometrics 43, 1987).
    With one group these are ranks as ever.
    """

    def __init__(self, values: Numbers, groups: Words) -> None:
        _, codes = np.unique(groups, return_inverse=True)
        order = np.lexsort((values, codes))
        sorted_codes, sorted_values = codes[order], values[order]
        new = np.ones(len(values), dtype=bool)
        # Compared and not subtracted: infinities of one sign tie.
        new[1:] = (sorted_codes[1:] != sorted_codes[:-1]) | (sorted_values[1:] != sorted_values[:-1])
        # Rows of a group that tie make a class; classes are numbered by group, and upwards by value.
        self._classes = np.empty(len(values), dtype=np.intp)
        self._classes[order] = np.cumsum(new) - 1
        sizes = np.bincount(codes)
        group = sorted_codes[new]
        self._before = (np.cumsum(sizes) - sizes)[group]
        self._middle = (sizes[group] + 1) / 2

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the ranks of resamples, shape (resamples, rows), of the row numbers in `rows`, of the same shape.

        Each resample must hold as many rows of each group as the column itself.
        """
        classes = self._classes[rows]
        resamples, several = len(rows), len(self._before)
        apart = classes + several * np.arange(resamples)[:, None]
        counts = np.bincount(apart.ravel(), minlength=resamples * several).reshape(resamples, several)
        # Ties share the mean of their ranks: the last of them less half their number, plus a half.
        ranks = np.cumsum(counts, axis=1) - (counts - 1) / 2 - self._before
        # Less the middle first: the ranks of a group that is all alike are 0, without a rounding error.
        found: np.ndarray = ((ranks - self._middle) / (2 * self._middle)).ravel()[apart]
        return found


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of centred ranks of shape (resamples, rows), one for each resample; nan for constants."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = (one * other).sum(-1) / np.sqrt((one * one).sum(-1) * (other * other).sum(-1))
    return found


def partial(raw: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the partial correlation of two columns given a third, of `raw`, theirs, and those of each with the third.

    It is the correlation of what is left of their ranks once the third's are regressed out; nan where nothing is left
    of one.
    """
    left = (1 - first**2) * (1 - second**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(left > _NOTHING, (raw - first * second) / np.sqrt(left), np.nan)
    # Rounding may leave it a little outside.
    return found.clip(-1, 1)


def spearman(one: Numbers, other: Numbers, groups: Words) -> float:
    """Return Spearman's correlation of two columns, ranked within `groups`; nan where one of them is constant."""
    rows = np.arange(len(one))[None]
    return float(correlation(RankedColumn(one, groups).of(rows), RankedColumn(other, groups).of(rows))[0])
