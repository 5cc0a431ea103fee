"""The Ray Tune searcher: hands out the ledger's proposals and returns what came of them."""

from typing import Any

from ray.tune.search import Searcher

from .gate import Gate
from .ledger import Ledger
from .outcome import outcome_of
from .record import reported


class MaskSearcher(Searcher):
    """Connects Ray Tune to the ledger; it holds nothing that the ledger does not, but the results of running trials."""

    def __init__(self, ledger: Ledger, gate: Gate):
        super().__init__(metric="spectral/objective", mode="max")
        self._ledger = ledger
        self._gate = gate
        self._running: dict[str, tuple[int, dict[str, Any]]] = {}

    def __getstate__(self) -> dict:
        """Nothing: Tune pickles its searcher for a snapshot that is never restored from."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next proposal, or FINISHED."""
        proposal = self._ledger.propose()
        if proposal is None:
            return Searcher.FINISHED
        self._running[trial_id] = (proposal["number"], {})
        return proposal

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """Keeps the latest value of everything the trial reports."""
        self._running[trial_id][1].update(reported(result))

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Writes the trial's end into the ledger."""
        number, latest = self._running.pop(trial_id)
        latest.update(reported(result or {}))
        decision = self._gate.decisions.get(number)
        self._ledger.finish(number, outcome_of(result, decision, error), latest | {"gate": decision})

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is durable, and a study is resumed from it, never from Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""
