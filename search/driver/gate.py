"""The gate: which trials train, decided by their spectral score as soon as it is known."""

import bisect
import math

from ...models.seeds import derive
from ..protocol.result import Decision


class Gate:
    """A gate that lets through the top `quantile` of the scores so far, and a `control` fraction whatever their score.

    Scores are compared within a group of trials alone, see `decide`.

    Whether a trial is in the control group is drawn from the seed and its number alone, before the score is looked at,
    so the group is a fair sample of all trials and the gate's benefit can be measured against it.
    """

    def __init__(self, quantile: float, control: float, seed: int) -> None:
        self._quantile = quantile
        self._control = control
        self._seed = seed
        self._scores: dict[str, list[float]] = {}
        self.decisions: dict[int, Decision] = {}
        """The decision on each trial, by its number."""

    def decide(self, number: int, score: float, group: str = "") -> Decision:
        """Decide on trial `number` once; asked again, return the same decision.

        The score joins the scores of its `group` so far and passes if it is among their highest `quantile` (rounded up,
        so the first always passes). Ties pass.
        """
        if number not in self.decisions:
            scores = self._scores.setdefault(group, [])
            bisect.insort(scores, score)
            # Rounded first: 0.07 * 100 is a little more than 7.
            passing = math.ceil(round(self._quantile * len(scores), 9))
            threshold = scores[-max(1, passing)]
            if self._quantile < 1 and self._in_control(number):
                self.decisions[number] = "control"
            else:
                self.decisions[number] = "passed" if score >= threshold else "stopped"
        return self.decisions[number]

    def _in_control(self, number: int) -> bool:
        return derive(self._seed, "control", number) < self._control * 2**63
