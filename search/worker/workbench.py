"""The candidates of one trial: drawn from one distribution, guarded, scored, and the best chosen."""

import contextlib
import copy
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from ...models.cost import CostCounter
from ...models.data import Data
from ...models.errors import InputError, first_line
from ...models.layers import described, layout, prunable
from ...models.masks import MaskSet
from ...models.networks import initial_state
from ...models.seeds import derive
from ...models.weights import init_digest, save_state
from ...spectral.arrays import numpy_array
from ...spectral.coordinate import full_spectra
from ...spectral.objectives import Objective
from ..config.searchable import values_of
from ..config.study import Study
from ..console import warn
from ..files import StudyFolder
from ..guards.connectivity import Connectivity, Limits
from ..guards.counter import PathCounter
from ..guards.repair import Unrepairable, repair
from ..protocol.network import NetworkListing
from ..protocol.ranking import Ranking
from ..remote.mirror import mirror_of
from ..resumable.training import LeaveRequested
from ..sampling.allocation import allocate
from ..sampling.dense import kept_dense
from ..sampling.distribution import MaskDistribution, layer_theta
from ..sampling.draw import sample_pattern
from ..sampling.layers import Layers, budget
from ..sampling.pattern import Pattern
from ..scores.learned import Learned
from ..scores.registry import DISTANCE, LEARNED, all_scores
from ..sources import Setting, Source, source_called
from ..sources.setting import SourceTraining
from .candidate import Candidate, Seed, layer_seed
from .composition import Composition, at_counts
from .dataset import listed
from .listing import listing
from .scorefiles import ScoreFiles

#: Weights of candidates that are drawn and scored together.
TOGETHER = 2**24

#: Bytes of scores that a worker keeps at most, unless those of one source alone are more.
SCORE_BYTES = 2**31


class ScoreKey(NamedTuple):
    """All that the scores of a study at one pretraining depend on."""

    source: str
    batch_seed: int
    rounds: int
    """0 of a source without rounds."""
    round_iterations: int
    """0 of a source that does not train."""


@dataclass
class Workbench:
    """The things that a worker keeps between trials: the network, the data, scores by source.

    The network has the weights that masks are made for and trainings start from: those after `pretraining` dense
    iterations.
    """

    study: Study
    model: nn.Module
    data: Data
    sources: dict[str, Source] = field(default_factory=dict)
    """The study's sources by name, ready to be used on any machine; made where none are given."""
    folder: StudyFolder | None = None
    """Where the scores of sources that train are kept; None: nowhere."""
    pretraining: int = 0
    start_weights: Mapping[str, Any] | None = None
    """The initial weights, where `model` has others."""
    _scores: dict[ScoreKey, dict[str, np.ndarray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # On a GPU they stay there, and the coordinate is computed there.
        self.weights = {
            name: weight.detach() if weight.is_cuda else _read_only(numpy_array(name, weight))
            for name, weight in prunable(self.model).items()
        }
        self.layout = layout(self.model)
        self.shapes = {name: tuple(weight.shape) for name, weight in self.weights.items()}
        self.init_digest = init_digest(initial_state(self.model))
        self.objectives = all_scores(self.study.objectives, self.study.reference, self.study.aggregate)
        search = self.study.search
        self.pattern = Pattern.parse(search.pattern) if search.pattern else None
        self.without_pattern = self.pattern.without(self.shapes, self.layout.inputs_first) if self.pattern else {}
        """Layers that are kept whole because they cannot have the pattern, with the reasons."""
        self.dense = kept_dense(list(self.shapes), search.keep_dense) | self.without_pattern.keys()
        if len(self.dense) == len(self.shapes):
            raise InputError(
                f"search.pattern = {self.pattern} fits no layer of {self.study.model} that is to be pruned: "
                f"{described(self.without_pattern)}; take another pattern, or leave it out"
            )
        outputs = {name: self.shapes[name][1] * self.layout.groups.get(name, 1) for name in self.layout.inputs_first}
        self.layers = Layers(self.shapes, search.min_kept_per_output, outputs, self.dense)
        self.setting = Setting(
            self.model,
            self.data,
            self._budget - sum(math.prod(self.shapes[name]) for name in self.dense),
            self.dense,
            search.images_per_class,
            sparsity=None if self.dense else self.study.global_sparsity,
            objective=self.objectives[self.study.score],
            variant=self.study.variant,
            training=SourceTraining(self.study.training.recipe()),
        )
        for name in search.sources:
            self.source(name)
        self._check_limits()

    @property
    def _budget(self) -> int:
        """The number of weights that a mask keeps."""
        if self.pattern:
            return sum(self.pattern.counts(self.shapes, self.dense).values())
        return budget(self.shapes, self.study.global_sparsity)

    def warn_pattern(self) -> None:
        """Warn in one line of the layers that are kept whole because they cannot have the pattern."""
        if self.without_pattern:
            kept = f"{len(self.without_pattern)} of {len(self.shapes)} layers"
            warn(f"search.pattern = {self.pattern} keeps {kept} whole: {described(self.without_pattern)}")

    @property
    def objective(self) -> Objective:
        """The score that chooses among candidates."""
        return self.objectives[self.study.score]

    def objectives_by(self, ranking: Ranking | None) -> dict[str, Objective]:
        """Return every score by name, the learned one by `ranking`; None: by the one that comes with the package."""
        learned = self.objectives[LEARNED]
        assert isinstance(learned, Learned)
        return self.objectives | {LEARNED: learned.by(ranking) if ranking else learned}

    @property
    def origins(self) -> dict[str, dict[str, str]]:
        """The origin of the masks of each source, by the source's name."""
        return {name: source.origin() for name, source in self.sources.items()}

    @property
    def network(self) -> NetworkListing:
        """The list of the network's prunable parameters, and the images that it learns from and is judged by."""
        found = listing(self.model, self.study.model, self.data.task)
        found["dataset"] = listed(self.data)
        found["precision"] = {
            name: origin["precision"] for name, origin in self.origins.items() if "precision" in origin
        }
        return found

    def pretrained(self, iterations: int, state: Mapping[str, Tensor]) -> "Workbench":
        """Return the workbench of the same study at the `state` after so many iterations of pretraining."""
        model = copy.deepcopy(self.model)
        model.load_state_dict(state)
        bench = Workbench(self.study, model, self.data, self.sources, self.folder, iterations, self.weights)
        # They do not depend on the weights, and a trace takes seconds.
        bench.paths = self.paths
        bench.costs = self.costs
        return bench

    def save_initial_weights(self, file: Path) -> None:
        """Write the state of the network, of a bench without pretraining the initial one."""
        save_state(file, initial_state(self.model))

    def source(self, name: str) -> Source:
        """Return the source called `name`. Raises InputError where it cannot work with the study's settings."""
        if name not in self.sources:
            source = self.sources[name] = source_called(name)
            if self.pattern and source.has_own_draw:
                raise InputError(
                    f"source {name} draws masks of its own, which do not have search.pattern = {self.pattern}; take "
                    "another source, or leave the pattern out"
                )
            for number in self.study.search.rounds_of(source.default_rounds):
                source.check(self._setting(source, number, None))
        return self.sources[name]

    def setting_of(self, distribution: MaskDistribution) -> Setting:
        """Return the setting that the source of a distribution scores in."""
        source = self.source(distribution.source)
        return self._setting(source, distribution.rounds, distribution.round_iterations)

    def _setting(self, source: Source, rounds: int | None, iterations: int | None) -> Setting:
        """Return the setting with as many rounds and iterations of each: where none are given, the study's first."""
        search = self.study.search
        first = rounds or search.rounds_of(source.default_rounds)[0] or 1
        each = iterations or values_of(search.round_iterations)[0]
        return replace(self.setting, rounds=first, round_iterations=each)

    def source_cost(self, distribution: MaskDistribution) -> int:
        """Return the optimizer steps before a training under a mask of the distribution begins, from the start on."""
        return distribution.pretraining + self.source_steps(distribution)

    def source_steps(self, distribution: MaskDistribution) -> int:
        """Return the optimizer steps that the source of a distribution runs for its scores."""
        return self.source(distribution.source).cost(self.setting_of(distribution))

    def score_key(self, distribution: MaskDistribution) -> ScoreKey:
        """Return all that the scores of a distribution depend on, beside its pretraining."""
        source, setting = self.source(distribution.source), self.setting_of(distribution)
        return ScoreKey(
            source.scored_as or distribution.source,
            distribution.batch_seed,
            setting.rounds if source.default_rounds else 0,
            setting.round_iterations if source.trains else 0,
        )

    def try_sources(self) -> None:
        """Try every source on a few images. Raise InputError, naming it, where one cannot score this network."""
        for name, source in self.sources.items():
            with self._naming(name):
                source.try_out(self.setting.few)

    def scores(self, distribution: MaskDistribution) -> dict[str, np.ndarray]:
        """Return the scores of the source of a distribution, computed once for each batch while there is room for them.

        Those of a source that trains are computed once for all workers of the study. Raises InputError, naming the
        source, where it cannot score.
        """
        name, source, setting = distribution.source, self.source(distribution.source), self.setting_of(distribution)
        key = self.score_key(distribution)
        if key in self._scores:
            self._scores[key] = self._scores.pop(key)
            return self._scores[key]
        seed = derive(self.study.seed, "batch", distribution.batch_seed)
        with self._naming(name):
            if source.trains and self.folder is not None:
                whole = json.dumps([self.init_digest, *key])
                scores = ScoreFiles(self.folder).get(whole, partial(self._kept_scores, source, setting, seed))
            else:
                scores = source.scores(setting, seed)
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

    def _kept_scores(self, source: Source, setting: Setting, seed: int, checkpoints: Path) -> dict[str, np.ndarray]:
        assert self.folder is not None, "there is a folder for scores"
        every, recipe, mirror = self.study.faults.checkpoint_seconds, setting.training.recipe, mirror_of(self.folder)
        how = SourceTraining(recipe, checkpoints, every, mirror.marker(self.folder.leave), mirror)
        return source.scores(replace(setting, training=how), seed)

    @contextlib.contextmanager
    def _naming(self, source: str) -> Iterator[None]:
        """Turn what a source raises in the block into an InputError that names it."""
        try:
            yield
        except LeaveRequested:
            raise
        except InputError as error:
            raise InputError(f"source {source}: {error}") from error
        except Exception as error:
            raise InputError(f"source {source} cannot score {self.study.model}: {first_line(error)}") from error

    def counts(self, distribution: MaskDistribution) -> dict[str, int]:
        """Return the number of kept weights of each layer: by the pattern, else by the distribution's allocation."""
        if self.pattern:
            return self.pattern.counts(self.shapes, self.dense)
        return allocate(
            self.layers,
            self.study.global_sparsity,
            distribution.allocation,
            layer_theta(list(self.shapes), self.study.search.theta, distribution.theta),
            lambda: self.scores(distribution),
            lambda: {name: numpy_array(name, weight) for name, weight in self.weights.items()},
        )

    def connectivity(self, masks: Mapping[str, np.ndarray]) -> Connectivity:
        """Return the collapsed layers, paths and effective sparsity of a mask set."""
        return self.paths.check(masks)

    @cached_property
    def paths(self) -> PathCounter:
        """The counter of the paths of a mask set, with the study's limits."""
        guard = self.study.guard
        limits = Limits(guard.max_dead_channels, guard.min_shortcut_coverage)
        return PathCounter(self.model, self.data.task, limits)

    @cached_property
    def costs(self) -> CostCounter:
        """The counter of what the network costs under a mask set."""
        return CostCounter(self.model, self.data.task)

    def _check_limits(self) -> None:
        """Raise InputError for a limit of the guard on what is only estimated: no mask is refused for an estimate."""
        guard = self.study.guard
        limits = {"guard.max_dead_channels": (guard.max_dead_channels, 1.0)}
        limits["guard.min_shortcut_coverage"] = (guard.min_shortcut_coverage, 0.0)
        for setting, (value, none) in limits.items():
            if value != none and (reason := self.paths.estimated):
                raise InputError(
                    f"{setting} = {value:g}, but the paths of {self.study.model} are only estimated, because torch "
                    f"cannot trace it ({reason}); leave the setting out"
                )

    def draw(self, distribution: MaskDistribution, counts: Mapping[str, int], seed: Seed) -> MaskSet:
        """Return the mask set that a seed draws: the same arguments give the same bits."""
        drawer = self.source(distribution.source)
        scores = self.scores(distribution)
        masks: dict[str, np.ndarray] = {}
        for name, count in counts.items():
            if name in self.dense:
                masks[name] = np.ones(self.shapes[name], dtype=bool)
                continue
            each = layer_seed(seed, name)
            if self.pattern:
                masks[name] = sample_pattern(name, scores[name], self.pattern, distribution.temperature, each)
            else:
                masks[name] = drawer.draw(self.setting, name, scores[name], count, distribution.temperature, each)
        return MaskSet(masks)

    def rebuild(self, distribution: MaskDistribution, counts: Mapping[str, int], seed: Seed) -> tuple[MaskSet, int]:
        """Return the mask set of a candidate from its row in `candidates.json`, and how many weights its repair moved.

        It is drawn, and repaired, as it was then.
        """
        masks, _, repaired = self._guarded(self._drawn(distribution, counts, seed), distribution)
        return masks, repaired

    def _drawn(self, distribution: MaskDistribution, counts: Mapping[str, int], seed: Seed) -> MaskSet:
        """Return what the guard saw first of a candidate: its draw, or the layers of other candidates."""
        if not isinstance(seed, Mapping) or not self.study.guard.repair:
            return self.draw(distribution, counts, seed)
        whole = {one: self.rebuild(distribution, counts, one)[0] for one in dict.fromkeys(seed.values())}
        scores = self.scores(distribution)
        return at_counts({name: whole[seed[name]][name] for name in counts}, counts, scores)

    def _guarded(self, masks: MaskSet, distribution: MaskDistribution | None) -> tuple[MaskSet, Connectivity, int]:
        """Return the masks, repaired where the study asks for it; their connectivity; how many weights were moved."""
        connectivity = self.connectivity(masks)
        if distribution is None or not self.study.guard.repair or not connectivity.fault:
            return masks, connectivity, 0
        scores = self.scores(distribution)
        least = self.layers.floors()
        try:
            mended, moved = repair(self.paths, masks, scores, least)
        except Unrepairable as error:
            return masks, replace(connectivity, unrepaired=str(error)), 0
        masks = MaskSet(mended)
        return masks, self.connectivity(masks), moved

    def evaluate(
        self,
        drawn: Sequence[tuple[MaskSet, Seed]],
        distribution: MaskDistribution | None = None,
        ranking: Ranking | None = None,
    ) -> list[Candidate]:
        """Return the candidates of mask sets: guarded first, and those that pass the guard scored all at once.

        They were drawn from `distribution`: its scores choose the weights that repair them, where the study does.
        `ranking` is that of the learned score, as in `objectives_by`.
        """
        objectives = self.objectives_by(ranking)
        guarded = [self._guarded(masks, distribution) for masks, _ in drawn]
        sound = [masks for masks, connectivity, _ in guarded if not connectivity.fault]
        coordinates = iter(
            full_spectra(
                sound,
                self.weights,
                self.layout.groups,
                self.layout.inputs_first,
                variant=self.study.variant,
                start=self.start_weights,
                threads=self.study.resources.cpus,
                cache=self.setting.spectra,
            )
        )
        candidates = []
        for (_, seed), (masks, connectivity, repaired) in zip(drawn, guarded, strict=True):
            if connectivity.fault:
                candidates.append(Candidate(seed, masks, masks.digest(), connectivity, None, None))
                continue
            coordinate = next(coordinates)
            coordinate.channels = {name: count.live for name, count in connectivity.channels.items()}
            scores = {name: objective.value(coordinate) for name, objective in objectives.items()}
            score = scores[self.study.score]
            candidates.append(Candidate(seed, masks, masks.digest(), connectivity, coordinate, score, scores, repaired))
        return candidates

    def candidates(
        self, distribution: MaskDistribution, trial_seed: int, ranking: Ranking | None = None
    ) -> Iterator[Candidate]:
        """Yield the candidates of a trial, some at a time: the masks of a large network need not all be held.

        Those that are drawn whole come first; with `search.draw = "per_layer"` the best layers of them are composed to
        one more, unless it is among them already.
        """
        counts = self.counts(distribution)
        per_layer = self.study.search.draw == "per_layer"
        composition = Composition(self._exchanged_by(ranking))
        seeds = [derive(trial_seed, "candidate", index) for index in range(self.study.search.samples_per_trial)]
        size = sum(math.prod(shape) for shape in self.shapes.values())
        at_once = max(1, TOGETHER // size)
        for first in range(0, len(seeds), at_once):
            drawn = [(self.draw(distribution, counts, seed), seed) for seed in seeds[first : first + at_once]]
            for candidate in self.evaluate(drawn, distribution, ranking):
                if per_layer:
                    composition.add(candidate)
                yield candidate
        if not per_layer:
            return
        composed = composition.masks(counts, self.scores(distribution))
        if composed is not None:
            yield from self.evaluate([(composed, composition.seeds)], distribution, ranking)

    def _exchanged_by(self, ranking: Ranking | None) -> list[Objective]:
        """Return the scores whose terms say which draw the composed candidate takes a layer from."""
        if self.study.variant == "authors":
            return [self.objectives["imdb"], self.objectives[DISTANCE]]
        return [self.objectives_by(ranking)[self.study.score]]

    def _rounds(self, distribution: MaskDistribution) -> dict[str, str]:
        source, setting = self.source(distribution.source), self.setting_of(distribution)
        rounds = {"rounds": str(setting.rounds)} if source.default_rounds else {}
        return rounds | ({"round_iterations": str(setting.round_iterations)} if source.trains else {})

    def metadata(self, distribution: MaskDistribution, seed: Seed) -> dict[str, str]:
        """Return what a mask file holds on where its mask comes from."""
        task = self.data.task
        return {
            "model": self.study.model,
            "data": self.study.data,
            "input": json.dumps([task.channels, task.size, task.size]),
            "classes": str(task.classes),
            "init_seed": str(self.study.seed),
            "init_digest": self.init_digest,
            **({"pretraining": str(self.pretraining)} if self.pretraining else {}),
            "allocation": distribution.allocation,
            "source": distribution.source,
            "temperature": repr(distribution.temperature),
            "batch_seed": str(distribution.batch_seed),
            "images_per_class": str(self.setting.images_per_class),
            **self._rounds(distribution),
            "keep_dense": json.dumps(sorted(self.dense)),
            **({"pattern": str(self.pattern)} if self.pattern else {}),
            "theta": json.dumps(distribution.theta),
            "variant": self.study.variant,
            "seed": json.dumps(seed),
            **self.source(distribution.source).origin(),
            **self.layout.to_metadata(),
        }


def _bytes(scores: Mapping[str, np.ndarray]) -> int:
    return sum(values.nbytes for values in scores.values())


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return the array itself: no coordinate then needs a copy of it."""
    array.flags.writeable = False
    return array
