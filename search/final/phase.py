"""The last phase of a search: full training of its best masks, of the baselines, and of what the winner asks for."""

from collections.abc import Callable

from ..driver.running import RunningSearch
from ..protocol.training import Entry
from .entries import finalist_entries, finalists, winner_entries
from .training import train_all
from .zscores import compare_with_chance


def train_finalists(search: RunningSearch) -> None:
    """Train the best masks and the baselines in full, then the winner's own baselines; compare masks with chance.

    Returns early where a shutdown is requested.
    """
    best = finalists(search.ledger.trials(), search.study.final.top_k)
    stages: tuple[Callable[[], list[Entry]], ...] = (
        lambda: finalist_entries(search, best),
        # Only then it is known which mask wins.
        lambda: winner_entries(search),
    )
    for entries in stages:
        if not search.shutdown.requested:
            train_all(search, entries())
    if not search.shutdown.requested:
        compare_with_chance(search, best)
