"""The choice of a trial's group: its source, its pretraining and its base of allocation."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...models.seeds import derive
from ..config.searchable import values_of
from ..config.study import Study
from ..protocol.outcome import Outcome
from ..protocol.proposal import Value
from ..samplers.registry import sampler_called
from ..sampling.distribution import Group, MaskDistribution
from ..sources.registry import source_called
from ..store.records import TrialRecord

#: Trials that each group gets before accuracies decide.
FIRST = 2

#: The least standard deviation of accuracies within a group that a Thompson draw believes in.
LEAST_DEVIATION = 0.005

#: What it is until there are two accuracies of one group.
PRIOR_DEVIATION = 0.05


@dataclass(frozen=True)
class Choice:
    """The group of a trial, and why it was chosen."""

    group: Group | None
    """None where the sampler chooses it."""
    reason: str

    @property
    def given(self) -> dict[str, Value]:
        """The parameters of the trial that the choice fixes."""
        return {} if self.group is None else parameters(self.group)


def parameters(group: Group) -> dict[str, Value]:
    """Return a group as the parameters of its trials in Optuna's study."""
    return dict(group._asdict())


class Groups:
    """The groups of a study, and the choice of one for each trial.

    With `search.groups` "accuracy" each group gets two trials, then the one of the highest Thompson draw (Thompson,
    1933) goes on: a normal around the mean of its rewards. With "uniform", and with the sampler `random`, which learns
    nothing, they are drawn uniformly; a study that trains nothing takes them in turn. With "objective" the sampler
    itself chooses; one that needs the same parameters in all trials gets a uniform draw.

    The reward of a trial is its warm-up accuracy at equal cost. The warm-up stands for the full training on the scale
    of the whole cost: a trial that costs e steps before training is read at the iteration W · (F + e_min) / (F + e),
    with W the iterations of the warm-up, F those of a full training, and e_min the e of the cheapest group. So a group
    that costs more must be ahead that much earlier. Between two measurements the accuracy is interpolated linearly,
    before the first one from 0. A trial that was stopped before counts as it was. One that diverged or was rejected
    counts as the lowest of all, where 0 would hide for long how its group's other trials did; in a group of nothing
    else it counts 0. Of one that failed, or that the gate stopped, nothing is known.

    A choice is a function of the trial's number and of the trials that have ended, which the ledger holds.
    """

    def __init__(
        self,
        study: Study,
        cost: Callable[[MaskDistribution], int] = lambda distribution: 0,
        full_iterations: int = 1,
    ) -> None:
        """Choose for `study`; `cost` are the steps before training, `full_iterations` those of a full training."""
        self._study = study
        self._cost = cost
        self._full = full_iterations
        search = study.search
        found = product(search.sources, study.pretraining.each, map(str, values_of(search.allocation)))
        self.all = list(dict.fromkeys(Group(*each) for each in found))
        self._rule = _rule(study)
        self._least = min((cost(one) for group in self.all for one in _distributions(study, group)), default=0)
        self._proposed = dict.fromkeys(self.all, 0)
        self._running: dict[int, Group] = {}
        self._rewards: dict[Group, dict[int, float | None]] = {group: {} for group in self.all}
        """By trial; None where it diverged or was rejected."""

    @property
    def warning(self) -> str | None:
        """A sentence where there are too few trials for all groups; None otherwise."""
        trials = self._study.search.trials
        if self._rule != "accuracy" or len(self.all) == 1 or trials >= FIRST * len(self.all):
            return None
        return (
            f"search.trials = {trials} is less than two for each of the {len(self.all)} groups of source, pretraining "
            "and allocation: accuracies will not decide among them"
        )

    def choose(self, number: int) -> Choice:
        """Return the group of trial `number`."""
        if self._rule == "sampler":
            return Choice(None, "chosen by the sampler")
        if len(self.all) == 1:
            return Choice(self.all[0], "the only group")
        match self._rule:
            case "turn":
                return Choice(self.all[number % len(self.all)], "in turn")
            case "uniform":
                drawn = derive(self._study.seed, "group", number) % len(self.all)
                return Choice(self.all[drawn], "drawn uniformly")
        fewest = min(self.all, key=lambda group: self._proposed[group])
        if self._proposed[fewest] < FIRST or not any(self._rewards.values()):
            return Choice(fewest, f"one of the first {FIRST} of its group")
        return self._thompson(number)

    def given_before(self, distribution: MaskDistribution) -> dict[str, Value]:
        """Return the parameters that the choice of the group of a recorded trial fixed."""
        return {} if self._rule == "sampler" else parameters(distribution.group)

    def _thompson(self, number: int) -> Choice:
        rewards, lowest = self._known()
        deviation = _pooled_deviation(list(rewards.values()))
        normal = np.random.default_rng(derive(self._study.seed, "group", number)).standard_normal(len(self.all))
        drawn: dict[Group, tuple[float, float, int]] = {}
        for group, noise in zip(self.all, normal.tolist(), strict=True):
            known = rewards[group]
            if not known and group in self._running.values():
                # Its first accuracies are on their way.
                continue
            # A group none of whose trials came to an accuracy is taken to be as bad as the worst.
            mean, count = (_mean(known), len(known)) if known else (lowest, self._proposed[group])
            drawn[group] = mean + noise * deviation / count**0.5, mean, len(known)
        best = max(drawn, key=lambda group: drawn[group][0])
        value, mean, count = drawn[best]
        return Choice(best, f"Thompson draw {value:.3f} (mean {mean:.3f} of {count})")

    def _known(self) -> tuple[dict[Group, list[float]], float]:
        """Return the rewards of each group as numbers, and the lowest accuracy of all."""
        read = {group: [one for one in mine.values() if one is not None] for group, mine in self._rewards.items()}
        lowest = min((one for mine in read.values() for one in mine), default=0.0)
        return {
            group: mine + [lowest if mine else 0.0] * (len(self._rewards[group]) - len(mine))
            for group, mine in read.items()
        }, lowest

    def proposed(self, number: int, group: Group) -> None:
        """Take that trial `number` of a group was proposed."""
        if group in self._proposed:
            self._proposed[group] += 1
            self._running[number] = group

    def learn(self, record: TrialRecord) -> None:
        """Take the end of a trial."""
        self._running.pop(record.number, None)
        reward, nothing = self._reward(record), record.outcome in (Outcome.DIVERGED, Outcome.REJECTED)
        if (nothing or reward is not None) and record.distribution.group in self._rewards:
            self._rewards[record.distribution.group][record.number] = reward

    def _reward(self, record: TrialRecord) -> float | None:
        """Return the accuracy of a trial at equal cost; None where it came to none."""
        if record.outcome not in (Outcome.FINISHED, Outcome.STOPPED_EARLY) or record.result.accuracy is None:
            return None
        cost = self._cost(record.distribution)
        at = self._study.warmup.iterations * (self._full + self._least) / (self._full + cost)
        points = {0: 0.0, **accuracies(record)}
        return float(np.interp(at, list(points), list(points.values())))


def _mean(values: list[float]) -> float:
    # Exact, so that the order in which trials ended does not matter.
    return math.fsum(values) / len(values)


def _pooled_deviation(each: list[list[float]]) -> float:
    """Return the standard deviation of rewards within groups."""
    freedom = sum(len(rewards) - 1 for rewards in each if rewards)
    if not freedom:
        return PRIOR_DEVIATION
    squares = math.fsum((one - _mean(rewards)) ** 2 for rewards in each for one in rewards)
    return max(math.sqrt(squares / freedom), LEAST_DEVIATION)


def accuracies(record: TrialRecord) -> Mapping[int, float]:
    """Return the validation accuracies of a trial that count, by iteration of its warm-up, ascending."""
    last = record.result.iterations
    found = {iteration: one.accuracy for iteration, one in record.measured.items() if iteration < last}
    if record.result.accuracy is not None:
        found[last] = record.result.accuracy
    return dict(sorted(found.items()))


def _rule(study: Study) -> str:
    """Return how a study's groups are chosen: sampler, turn, uniform or accuracy."""
    groups, sampler = study.search.groups, sampler_called(study.search.sampler)
    if groups == "objective":
        return "uniform" if sampler.per_group else "sampler"
    if not sampler.learns or groups == "uniform":
        return "uniform"
    return "accuracy" if study.warmup.iterations else "turn"


def _distributions(study: Study, group: Group) -> Iterator[MaskDistribution]:
    """Yield a distribution of a group for each number of rounds and of iterations that it may have."""
    search, source = study.search, source_called(group.source)
    iterations = values_of(search.round_iterations) if source.trains else [None]
    for number, each in product(search.rounds_of(source.default_rounds), iterations):
        yield MaskDistribution(group.source, 0.0, 0, {}, group.allocation, group.pretraining, number, each)
