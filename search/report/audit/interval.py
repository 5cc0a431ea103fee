"""Bootstrap intervals of what is computed from a table's rows."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import DegenerateDataWarning, bootstrap, norm

from ...files import JsonObject
from ..comparison import CONFIDENCE
from .columns import Words

_TAIL = (1 - CONFIDENCE) / 2

#: Resamples of the bootstrap.
DRAWS = 2000

#: Numbers that a batch of resamples may hold: the ranks of some columns stand in memory at once.
_BATCH = 200_000


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; nan where it is not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies above or below 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def among(self, choices: int) -> "Estimate":
        """Return it with the interval widened as for the strongest of so many: 95 % for all of them (Bonferroni)."""
        factor = float(norm.ppf(1 - _TAIL / choices) / norm.ppf(1 - _TAIL))
        return Estimate(
            self.value, self.value + factor * (self.low - self.value), self.value + factor * (self.high - self.value)
        )

    def to_dict(self) -> JsonObject:
        """Return the number and the ends of its interval."""
        return {"value": self.value, "low": self.low, "high": self.high}


def estimates(statistic: Callable[[np.ndarray], np.ndarray], groups: Words) -> list[Estimate]:
    """Return what `statistic` computes of all rows, with bootstrap intervals: rows are drawn anew within `groups`.

    `statistic` takes row numbers of shape (resamples, rows) and returns numbers of shape (numbers, resamples). Each
    group has at least two rows. The seed is fixed.

    The intervals are percentiles of the draws. BCa covers no better here: of 400 tables each of 9, 14, 30 and 100 masks
    the percentiles held the true Spearman correlation in 95, 95, 95 and 96 % where that is 0, and in 99, 97, 97 and
    96 % where it is 0.6 (BCa 95, 95, 96, 96 and 98, 96, 95, 95 %), and they are defined where its jackknife is not,
    as with ranks that agree in full. Of 300 masks in groups of 3 they held it in 95 and 96 %, of 900 in groups of 30 in
    93 %. A draw in which a column is constant ranks nothing, and is left out.
    """
    _, codes = np.unique(groups, return_inverse=True)
    strata = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]

    def resampled(*rows: np.ndarray, axis: int) -> np.ndarray:
        assert axis == -1
        # As one sample, in the order of the strata; where there is a single one, scipy may pass it flat.
        return statistic(np.atleast_2d(np.concatenate(rows, axis=-1)))

    batch = max(1, _BATCH // len(groups))
    with warnings.catch_warnings():
        # That some draws are not defined is dealt with here.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        draws = bootstrap(
            strata, resampled, vectorized=True, n_resamples=DRAWS, batch=batch, method="percentile", rng=0
        ).bootstrap_distribution
    values = statistic(np.arange(len(groups))[None])[:, 0]
    return [Estimate(float(value), *_ends(each)) for value, each in zip(values, draws, strict=True)]


def _ends(draws: np.ndarray) -> tuple[float, float]:
    known = draws[~np.isnan(draws)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
    return float(low), float(high)
