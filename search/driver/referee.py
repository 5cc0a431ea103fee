"""The referee: gate and rungs decide in the order of trial numbers, whichever trial reports first."""

import math
from dataclasses import dataclass, field

import numpy as np

from ..config.study import Gate as GateSettings
from ..config.study import Warmup
from ..protocol.result import Decision
from ..sampling.distribution import Group
from .gate import Gate


@dataclass
class _Facts:
    """The facts that are known of a trial."""

    score: float | None = None
    group: str = ""
    """The trials that its score is compared with."""
    merits: dict[int, float] = field(default_factory=dict)
    """What is compared, by rung: higher is better."""
    losses: float = 0.0
    """The sum of the training losses of all iterations that were measured."""
    measured: int = 0
    """The last iteration that was measured."""
    over: bool = False
    """It came to an end of its own: nothing more will be known."""
    stopped: int | None = None
    """Iterations at which it was stopped; 0 by the gate."""


class Referee:
    """Gate and asynchronous successive halving (Li et al., MLSys 2020) that a study's timing does not change.

    Each decision on trial n looks at trials of lower numbers only, and is made once all that it looks at is known.
    Until then the trial trains on; what it reported past a decision that stops it does not count. So the outcomes are
    a function of what was proposed: the number of workers, the order in which they end, and restarts change nothing.

    The rungs compare what `warmup.metric` says: validation accuracy, or the sum of training losses so far, which ranks
    trainings by their speed (Ru et al., "Speedy performance estimation for neural architecture search", 2020).
    """

    def __init__(self, warmup: Warmup, gate: GateSettings, seed: int) -> None:
        self._gate = Gate(gate.quantile, gate.control, seed) if warmup.iterations else None
        self._within_groups = gate.within == "group"
        self._rungs = warmup.rungs
        self._stays = (1 - 1 / warmup.reduction_factor) * 100
        self._by_loss = warmup.metric == "training_loss"
        self._facts: dict[int, _Facts] = {}
        # Trials below these numbers have been decided on: by the gate, and at each rung.
        self._gated = 0
        self._compared = [0] * len(self._rungs)
        self._reached: list[list[float]] = [[] for _ in self._rungs]
        self._news: set[int] = set()

    def scored(self, number: int, score: float, group: Group) -> None:
        """Take the score of a trial of a group."""
        facts = self._of(number)
        facts.score = score
        facts.group = str(group) if self._within_groups else ""
        self._decide()

    def measured(self, number: int, iteration: int, accuracy: float, loss: float = math.nan) -> None:
        """Take the validation accuracy of a trial at an iteration, and its mean training loss since the one before.

        The measurements of a trial come in the order of iterations, each once. The loss is needed where rungs compare
        losses.
        """
        facts = self._of(number)
        facts.losses += loss * (iteration - facts.measured)
        facts.measured = iteration
        if iteration in self._rungs:
            facts.merits[iteration] = -facts.losses if self._by_loss else accuracy
            self._decide()

    def ended(self, number: int) -> None:
        """Take that a trial came to an end of its own: finished, diverged, rejected or failed."""
        self._of(number).over = True
        self._decide()

    def news(self) -> set[int]:
        """Return the trials on which the gate or a rung has decided since this was asked last."""
        news, self._news = self._news, set()
        return news

    def gate(self, number: int) -> Decision | None:
        """Return what the gate decided on a trial; None where it has not yet, or there is nothing to decide."""
        return self._gate.decisions.get(number) if self._gate else None

    def stopped(self, number: int) -> int | None:
        """Return the iterations at which a trial was stopped: 0 by the gate, more at a rung; None where it was not."""
        return self._of(number).stopped

    def clearance(self, number: int) -> float:
        """Return the iterations up to which reports of a trial count, as far as decided; -1 before the gate has."""
        if self._gate is None:
            return math.inf
        facts = self._of(number)
        if facts.stopped is not None:
            return facts.stopped
        if number >= self._gated:
            return -1
        return next((r for r, done in zip(self._rungs, self._compared, strict=True) if number >= done), math.inf)

    def decided(self, number: int, iteration: int) -> bool:
        """Return whether no decision to come can stop a trial that trains no further than `iteration`."""
        facts = self._of(number)
        if self._gate is None or facts.score is None or facts.stopped is not None:
            return True
        if number >= self._gated:
            return False
        past = zip(self._rungs, self._compared, strict=True)
        return not any(number >= done and rung in facts.merits and rung <= iteration for rung, done in past)

    def _of(self, number: int) -> _Facts:
        return self._facts.setdefault(number, _Facts())

    def _decide(self) -> None:
        """Decide all that can be, in order of number; a trial's rung after its gate and its lower rungs."""
        if self._gate is None:
            return
        while (facts := self._of(self._gated)).score is not None or facts.over:
            if facts.score is not None and self._gate.decide(self._gated, facts.score, facts.group) == "stopped":
                facts.stopped = 0
            self._news.add(self._gated)
            self._gated += 1
        before = self._gated
        for index, rung in enumerate(self._rungs):
            while self._compared[index] < before and self._compare(index, rung):
                self._news.add(self._compared[index])
                self._compared[index] += 1
            before = self._compared[index]

    def _compare(self, index: int, rung: int) -> bool:
        """Decide on the next trial at a rung; return whether everything that this takes is known."""
        facts, reached = self._of(self._compared[index]), self._reached[index]
        if facts.stopped is None and rung in facts.merits:
            merit = facts.merits[rung]
            if reached and merit < np.percentile(reached, self._stays):
                facts.stopped = rung
            reached.append(merit)
            return True
        return facts.stopped is not None or facts.over
