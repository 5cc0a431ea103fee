"""Repairs a mask set that the guard rejects, at its budget: useless weights are exchanged for those that repair it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from .channels import Key
from .connectivity import Connectivity
from .counter import PathCounter, Paths

#: Forward and backward passes after which a repair gives up.
LOOKS = 200

#: A weight: its parameter, and its index in the flat array.
Weight = tuple[str, int]

#: Weights of which one is to be on a path: a parameter, and an index into the view of its channels.
Target = tuple[str, Key]


class Unrepairable(Exception):
    """A mask set that cannot be repaired, with the reason."""


def repair(
    paths: PathCounter,
    masks: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    floors: Mapping[str, int],
) -> tuple[dict[str, np.ndarray], int]:
    """Return a mask set of as many kept weights without a fault, and how many of them `masks` does not keep.

    First weights are added: the highest-scored removed weights that complete a path through a missing layer or channel,
    a single one where that is enough, and otherwise one in each of a few layers. Then as many are removed: weights on
    no path, the lowest-scored first, and then the lowest-scored of all that the guard can do without; no layer falls
    below its floor. A mask set without a fault is returned as it is, and a layer without `scores` is never changed. The
    result is a function of the arguments alone, on any number of threads.

    `masks` and `scores` map parameter names to arrays of their shapes. Raise Unrepairable where no weights remove the
    fault, too few can be removed, or `LOOKS` passes are not enough.
    """
    return _Repair(paths, masks, scores, floors).run()


class _Repair:
    """A repair in progress, with the masks so far."""

    def __init__(
        self,
        paths: PathCounter,
        masks: Mapping[str, np.ndarray],
        scores: Mapping[str, np.ndarray],
        floors: Mapping[str, int],
    ):
        self._paths, self._scores, self._floors = paths, scores, floors
        self._before = masks
        self._masks = {name: np.array(mask, dtype=bool) for name, mask in masks.items()}
        self._looks = 0

    def run(self) -> tuple[dict[str, np.ndarray], int]:
        used = self._mend()
        self._give_up(used)
        moved = sum(int((mask & ~self._before[name]).sum()) for name, mask in self._masks.items())
        return self._masks, moved

    def _look(self, masks: Mapping[str, np.ndarray]) -> Paths:
        self._looks += 1
        if self._looks > LOOKS:
            raise Unrepairable(f"no end after {LOOKS} looks at the network")
        return self._paths.paths(masks)

    def _mend(self) -> Mapping[str, np.ndarray]:
        """Add weights until there is no fault; return the weights on paths. More weights never make a fault."""
        while True:
            seen = self._look(self._masks)
            found = self._paths.judge(self._masks, seen.used)
            if not found.fault:
                return seen.used
            targets, missing = self._goal(found, seen.used)
            # Half of them at a time: a weight may bring several channels to life.
            single = self._completing(targets, seen.completing)[: math.ceil(missing / 2)]
            for name, index in single or self._way(targets):
                self._masks[name].flat[index] = True

    def _goal(self, found: Connectivity, used: Mapping[str, np.ndarray]) -> tuple[list[Target], int]:
        """Return the targets whose lack is the first fault, and how many of them must come to lie on a path."""
        whole: Key = (slice(None),)
        if found.collapsed:
            return [(found.collapsed[0], whole)], 1
        if found.effective_sparsity == 1:
            return [(name, whole) for name in used], 1
        limits, total = found.limits, sum(count.total for count in found.channels.values())
        if found.dead_channels > limits.dead_channels:
            dead = [(name, key) for name in used for key in self._paths.channels[name].without(used[name])]
            return dead, max(1, len(dead) - math.floor(limits.dead_channels * total))
        for name, (passed, outputs) in (found.shortcuts or {}).items():
            if passed < limits.shortcut_coverage * outputs:
                closed = [(name, key) for key in self._paths.channels[name].without(used[name], outputs_only=True)]
                return closed, max(1, math.ceil(limits.shortcut_coverage * outputs) - passed)
        raise AssertionError(found.fault)

    def _completing(self, targets: Sequence[Target], completing: Mapping[str, np.ndarray]) -> list[Weight]:
        """Return each target's highest-scored weight that completes a path alone, the highest first."""
        best: dict[Weight, float] = {}
        for name, weights in self._of(targets, {n: w for n, w in completing.items() if n in self._scores}):
            scores = self._scores[name].flat[weights]
            if len(weights):
                best[name, int(weights[np.argmax(scores)])] = float(scores.max())
        return sorted(best, key=lambda weight: -best[weight])

    def _of(self, targets: Sequence[Target], marked: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the flat indices of the marked weights of each target."""
        indices: dict[str, np.ndarray] = {}
        for name, key in targets:
            if name in marked:
                if name not in indices:
                    indices[name] = np.where(marked[name], np.arange(marked[name].size).reshape(marked[name].shape), -1)
                within = self._paths.channels[name].view(indices[name])[key].ravel()
                yield name, np.sort(within[within >= 0])

    def _way(self, targets: Sequence[Target]) -> list[Weight]:
        """Return removed weights, one in each of a few layers, that together lead a path through one of the targets.

        As few layers as suffice are opened, that is kept whole, in the order of the targets and then of the network.
        One after another is closed again, but for the highest-scored weight that suffices.
        """
        order = list(dict.fromkeys([*(name for name, _ in targets), *self._masks]))
        order = [name for name in order if name in self._scores and not self._masks[name].all()]
        opened: list[str] = []
        while not (opened and self._reached_through(targets, opened)):
            count = _least(len(order), partial(self._reached_through, targets, opened, order))
            if count is None:
                raise Unrepairable("no path leads there, whatever is kept")
            opened.append(order[count - 1])
            order = order[: count - 1]
        chosen: list[Weight] = []
        for position, name in enumerate(opened):
            masks = self._open(opened[position:], chosen)
            leads = np.flatnonzero(self._look(masks).used[name] & ~self._masks[name])
            ranked = leads[np.argsort(-self._scores[name].flat[leads], kind="stable")]
            others = self._open(opened[position + 1 :], chosen)
            count = _least(len(ranked), partial(self._reached_by, targets, others, name, ranked))
            assert count is not None, "the whole layer leads there"
            chosen.append((name, int(ranked[count - 1])))
        return chosen

    def _open(self, names: Sequence[str], chosen: Sequence[Weight] = ()) -> dict[str, np.ndarray]:
        """Return the masks with the layers `names` whole, and the `chosen` weights."""
        masks = self._masks | {name: np.ones_like(self._masks[name]) for name in names}
        for name, index in chosen:
            masks = _kept(masks, name, np.array([index]))
        return masks

    def _reached_through(
        self, targets: Sequence[Target], opened: list[str], order: Sequence[str] = (), count: int = 0
    ) -> bool:
        return self._reached(targets, self._open([*opened, *order[:count]]))

    def _reached_by(
        self, targets: Sequence[Target], masks: Mapping[str, np.ndarray], name: str, ranked: np.ndarray, count: int
    ) -> bool:
        return self._reached(targets, _kept(masks, name, ranked[:count]))

    def _reached(self, targets: Sequence[Target], masks: Mapping[str, np.ndarray]) -> bool:
        used = self._look(masks).used
        return any(self._paths.channels[name].view(used[name])[key].any() for name, key in targets)

    def _give_up(self, used: Mapping[str, np.ndarray]) -> None:
        """Remove as many weights as were added, without a new fault."""
        names = [name for name in self._masks if name in self._scores]
        owners, indices = self._expendable(names, used)
        while excess := sum(_counts(self._masks).values()) - sum(_counts(self._before).values()):
            counts = _counts(self._masks)
            slack = np.array([counts[name] - self._floors[name] for name in names])
            batch = np.flatnonzero(_position(owners) < slack[owners])[:excess]
            if not len(batch):
                raise Unrepairable("too few weights can be given up for those that would mend it")
            weights = [(names[owners[each]], int(indices[each])) for each in batch]
            count = _least(len(batch), partial(self._faulty_without, weights))
            # Without `count` weights there is a fault: the last of them is needed, those before it are not.
            for name, index in weights if count is None else weights[: count - 1]:
                self._masks[name].flat[index] = False
            owners, indices = (np.delete(each, batch[:count]) for each in (owners, indices))

    def _expendable(self, names: list[str], used: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the kept weights without the added ones, in order of removal: number of the name, flat index."""
        kept = [np.flatnonzero(self._masks[name] & ~(used[name] & ~self._before[name])) for name in names]
        owners = np.repeat(np.arange(len(names)), [len(indices) for indices in kept])
        scores, on_path = (
            np.concatenate([values[name].flat[indices] for name, indices in zip(names, kept, strict=True)])
            for values in (self._scores, used)
        )
        order = np.lexsort((scores, on_path))
        return owners[order], np.concatenate(kept)[order]

    def _faulty_without(self, weights: list[Weight], count: int) -> bool:
        masks = {name: mask.copy() for name, mask in self._masks.items()}
        for name, index in weights[:count]:
            masks[name].flat[index] = False
        return self._paths.judge(masks, self._look(masks).used).fault is not None


def _kept(masks: Mapping[str, np.ndarray], name: str, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Return the masks with some more weights of one parameter."""
    mask = masks[name].copy()
    mask.flat[indices] = True
    return {**masks, name: mask}


def _counts(masks: Mapping[str, np.ndarray]) -> dict[str, int]:
    return {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}


def _position(owners: np.ndarray) -> np.ndarray:
    """Return for each entry the number of entries before it that are equal to it."""
    position = np.empty(len(owners), dtype=np.int64)
    for owner in np.unique(owners):
        equal = np.flatnonzero(owners == owner)
        position[equal] = np.arange(len(equal))
    return position


def _least(most: int, good: Callable[[int], bool]) -> int | None:
    """Return the least number from 1 to `most` that is good, where all above a good one are; None where none is."""
    below, tried = 0, 1
    while tried <= most and not good(tried):
        below, tried = tried, max(min(most, 2 * tried), tried + 1)
    if tried > most:
        return None
    while tried - below > 1:
        middle = (below + tried) // 2
        below, tried = (below, middle) if good(middle) else (middle, tried)
    return tried
