"""The candidates of one trial: drawn from one distribution, guarded, scored, and the best chosen."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from torch import nn

from ...models.data import Data
from ...models.errors import InputError
from ...models.layers import layout, prunable
from ...models.masks import MaskSet
from ...models.networks import initial_state
from ...models.seeds import derive
from ...models.weights import init_digest
from ...spectral.arrays import numpy_array
from ...spectral.coordinate import full_spectra
from ...spectral.objectives import OBJECTIVES, Distance
from ..config.study import Study
from ..guards.connectivity import Connectivity, Limits, PathCounter
from ..guards.repair import Unrepairable, repair
from ..sampling.allocation import allocate, budget, floors
from ..sampling.dense import kept_dense
from ..sampling.distribution import MaskDistribution, layer_theta
from ..sources import Setting, Source, source
from .candidate import Candidate, Seed
from .composition import Composition

#: Weights of candidates that are drawn and scored together.
TOGETHER = 2**24

#: Bytes of scores that a worker keeps at most, unless those of one source alone are more.
SCORE_BYTES = 2**31


@dataclass
class Workbench:
    """What a worker keeps between trials: the network at its initial weights, the data, and score tensors by source."""

    study: Study
    model: nn.Module
    data: Data
    sources: dict[str, Source] = field(default_factory=dict)
    """The study's sources by name, ready to be used on any machine; made where none are given."""
    _scores: dict[tuple[str, int], dict[str, np.ndarray]] = field(default_factory=dict)

    def __post_init__(self):
        # On a GPU they stay there, and the coordinate is computed there.
        self.weights = {
            name: weight.detach() if weight.is_cuda else _read_only(numpy_array(name, weight))
            for name, weight in prunable(self.model).items()
        }
        self.layout = layout(self.model)
        self.shapes = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        self.outputs = {
            name: self.shapes[name][1] * self.layout.groups.get(name, 1) for name in self.layout.inputs_first
        }
        self.init_digest = init_digest(initial_state(self.model))
        self.objectives = OBJECTIVES | {"l2": Distance(self.study.reference, self.study.aggregate)}
        search = self.study.search
        self.dense = kept_dense(list(self.shapes), search.keep_dense)
        self.setting = Setting(
            self.model,
            self.data,
            budget(self.shapes, self.study.sparsity) - sum(math.prod(self.shapes[name]) for name in self.dense),
            self.dense,
            search.images_per_class,
            search.rounds,
            None if self.dense else self.study.sparsity,
            self.objectives[self.study.score],
        )
        for name in search.sources:
            self.source(name)
        if self.study.guard.min_shortcut_coverage > 0 and self.paths.shortcuts is None:
            raise InputError(
                f"guard.min_shortcut_coverage = {self.study.guard.min_shortcut_coverage:g}, but the shortcuts of "
                f"{self.study.model} are not known: torch.fx cannot trace it; leave the setting out"
            )

    def source(self, name: str) -> Source:
        """The source called `name`."""
        if name not in self.sources:
            self.sources[name] = source(name)
            self.sources[name].check(self.setting)
        return self.sources[name]

    def scores(self, name: str, batch_seed: int) -> dict[str, np.ndarray]:
        """The scores of the source called `name`, computed once for each batch while there is room for them.

        Raises InputError, naming the source, where it cannot score.
        """
        key = (self.source(name).scored_as or name, batch_seed)
        if key in self._scores:
            self._scores[key] = self._scores.pop(key)
            return self._scores[key]
        try:
            scores = self.source(name).scores(self.setting, derive(self.study.seed, "batch", batch_seed))
        except InputError as error:
            raise InputError(f"source {name}: {error}") from error
        if not any(values.any() for values in scores.values()):
            raise InputError(
                f"source {name} scores every weight 0, so that nothing tells them apart; is the last layer of "
                f"{self.study.model} zero at its initial weights? Take another source, or other initial weights"
            )
        self._scores[key] = scores
        # The least recently used stand first.
        while len(self._scores) > 1 and sum(map(_bytes, self._scores.values())) > SCORE_BYTES:
            del self._scores[next(iter(self._scores))]
        return scores

    def counts(self, distribution: MaskDistribution) -> dict[str, int]:
        """Kept weights of each layer under the distribution's allocation."""
        search = self.study.search
        ranked = None
        if distribution.allocation == "global":
            ranked = self.scores(distribution.source, distribution.batch_seed)
        elif distribution.allocation == "lamp":
            ranked = {name: np.abs(numpy_array(name, weight)) for name, weight in self.weights.items()}
        return allocate(
            self.shapes,
            self.study.sparsity,
            distribution.allocation,
            layer_theta(list(self.shapes), search.theta, distribution.theta),
            ranked,
            search.min_kept_per_output,
            self.outputs,
            self.dense,
        )

    def connectivity(self, masks: Mapping[str, np.ndarray]) -> Connectivity:
        """Collapsed layers, paths and effective sparsity of a mask set."""
        return self.paths.check(masks)

    @cached_property
    def paths(self) -> PathCounter:
        """What finds the paths of a mask set, and judges them by the study's limits."""
        guard = self.study.guard
        limits = Limits(guard.max_dead_channels, guard.min_shortcut_coverage)
        return PathCounter(self.model, self.data.task, limits)

    def draw(self, distribution: MaskDistribution, counts: Mapping[str, int], seed: Seed) -> MaskSet:
        """The mask set that a seed draws: the same arguments give the same bits."""
        drawer = self.source(distribution.source)
        scores = self.scores(distribution.source, distribution.batch_seed)
        masks: dict[str, np.ndarray] = {}
        for name, count in counts.items():
            if name in self.dense:
                masks[name] = np.ones(self.shapes[name], dtype=bool)
                continue
            layer_seed = seed[name] if isinstance(seed, Mapping) else seed
            masks[name] = drawer.draw(self.setting, name, scores[name], count, distribution.temperature, layer_seed)
        return MaskSet(masks)

    def rebuild(self, distribution: MaskDistribution, counts: Mapping[str, int], seed: Seed) -> tuple[MaskSet, int]:
        """The mask set of a candidate, from what `candidates.json` says of it: drawn, and repaired as it was then.

        With the number of weights that the repair moved.
        """
        masks, _, repaired = self._guarded(self.draw(distribution, counts, seed), distribution)
        return masks, repaired

    def _guarded(self, masks: MaskSet, distribution: MaskDistribution | None) -> tuple[MaskSet, Connectivity, int]:
        """The masks, repaired if need be and the study says so; their connectivity; how many weights were moved."""
        connectivity = self.connectivity(masks)
        if distribution is None or not self.study.guard.repair or not connectivity.fault:
            return masks, connectivity, 0
        scores = self.scores(distribution.source, distribution.batch_seed)
        least = floors(self.shapes, self.study.search.min_kept_per_output, self.outputs, self.dense)
        try:
            mended, moved = repair(self.paths, masks, scores, least)
        except Unrepairable as error:
            return masks, replace(connectivity, unrepaired=str(error)), 0
        masks = MaskSet(mended)
        return masks, self.connectivity(masks), moved

    def evaluate(
        self, drawn: Sequence[tuple[MaskSet, Seed]], distribution: MaskDistribution | None = None
    ) -> list[Candidate]:
        """The candidates of mask sets: guarded first, and those that the guard lets through scored all at once.

        `distribution` is what they were drawn from: its scores say what to repair them with, where the study does.
        """
        guarded = [self._guarded(masks, distribution) for masks, _ in drawn]
        sound = [masks for masks, connectivity, _ in guarded if not connectivity.fault]
        coordinates = iter(
            full_spectra(
                sound,
                self.weights,
                self.layout.groups,
                self.layout.inputs_first,
                threads=self.study.resources.cpus,
            )
        )
        candidates = []
        for (_, seed), (masks, connectivity, repaired) in zip(drawn, guarded, strict=True):
            if connectivity.fault:
                candidates.append(Candidate(seed, masks, masks.digest(), connectivity, None, None))
                continue
            coordinate = next(coordinates)
            scores = {name: objective.value(coordinate) for name, objective in self.objectives.items()}
            score = scores[self.study.score]
            candidates.append(Candidate(seed, masks, masks.digest(), connectivity, coordinate, score, scores, repaired))
        return candidates

    def candidates(self, distribution: MaskDistribution, trial_seed: int) -> Iterator[Candidate]:
        """The candidates of a trial, some at a time: the masks of a large network need not all be held.

        Those that are drawn whole come first; with `search.draw = "per_layer"` the best layers of them are composed to
        one more, unless it is among them already.
        """
        counts = self.counts(distribution)
        per_layer = self.study.search.draw == "per_layer"
        composition = Composition(self.objectives[self.study.score])
        seeds = [derive(trial_seed, "candidate", index) for index in range(self.study.search.samples_per_trial)]
        size = sum(math.prod(shape) for shape in self.shapes.values())
        at_once = max(1, TOGETHER // size)
        for first in range(0, len(seeds), at_once):
            drawn = [(self.draw(distribution, counts, seed), seed) for seed in seeds[first : first + at_once]]
            for candidate in self.evaluate(drawn, distribution):
                # What a repair moved among layers would not add up to the budget.
                if per_layer and not candidate.repaired:
                    composition.add(candidate)
                yield candidate
        composed = composition.masks()
        if composed is not None:
            yield from self.evaluate([(composed, composition.seeds)], distribution)

    def metadata(self, distribution: MaskDistribution, seed: Seed) -> dict[str, str]:
        """What a mask file says of where its mask comes from."""
        task = self.data.task
        return {
            "model": self.study.model,
            "data": self.study.data,
            "input": json.dumps([task.channels, task.size, task.size]),
            "classes": str(task.classes),
            "init_seed": str(self.study.seed),
            "init_digest": self.init_digest,
            "allocation": distribution.allocation,
            "source": distribution.source,
            "temperature": repr(distribution.temperature),
            "batch_seed": str(distribution.batch_seed),
            "images_per_class": str(self.setting.images_per_class),
            "rounds": str(self.setting.rounds),
            "keep_dense": json.dumps(sorted(self.dense)),
            "theta": json.dumps(distribution.theta),
            "seed": json.dumps(seed),
            **self.source(distribution.source).origin(),
            **self.layout.to_metadata(),
        }


def _bytes(scores: Mapping[str, np.ndarray]) -> int:
    return sum(values.nbytes for values in scores.values())


def _read_only(array: np.ndarray) -> np.ndarray:
    """The array itself, which no coordinate then needs a copy of."""
    array.flags.writeable = False
    return array
