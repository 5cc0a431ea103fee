"""Rank correlations within groups, and their means over groups with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from fullspectrum.search.report.audit import ranks
from scipy.stats import bootstrap

#: Fewest masks of a group that is looked at.
FEWEST = 6

DRAWS = 2000


@dataclass(frozen=True)
class Mean:
    """A mean over groups, and its 95 % bootstrap interval over them."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]" if np.isfinite(self.value) else "–"


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's ρ; nan where either is constant."""
    return ranks.spearman(one, other, np.zeros(len(one)))


def partial(one: np.ndarray, other: np.ndarray, given: np.ndarray) -> float:
    """Spearman's ρ of two columns once a third is given; nan where that leaves nothing."""
    return float(ranks.partial(*map(np.float64, (spearman(one, other), spearman(one, given), spearman(other, given)))))


def mean(values: Sequence[float]) -> Mean:
    """Mean of what groups have, with its interval."""
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        return Mean(*([float(known.mean())] * 3 if len(known) else [np.nan] * 3))
    if np.ptp(known) == 0:
        return Mean(*[float(known[0])] * 3)
    found = bootstrap((known,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(0))
    return Mean(float(known.mean()), *map(float, found.confidence_interval))


def within_groups(table: pd.DataFrame, score: str, given: str | None = None) -> list[float]:
    """ρ of a score with accuracy in each group, raw or given another score."""
    return by_group(table, score, lambda group: _of(group, score, given))


def by_group(table: pd.DataFrame, score: str, of: Callable[[pd.DataFrame], float]) -> list[float]:
    """What `of` finds in each group with enough masks whose `score` is known."""
    if score not in table:
        return []
    known = table[table[score].notna()]
    return [of(group) for _, group in known.groupby("group") if len(group) >= FEWEST]


def _of(group: pd.DataFrame, score: str, given: str | None) -> float:
    columns = (group[score].to_numpy(), group.accuracy.to_numpy())
    if given is None:
        return spearman(*columns)
    return np.nan if given == score else partial(*columns, group[given].to_numpy())
