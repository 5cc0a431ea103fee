"""The candidates of one trial: drawn from one distribution, guarded, scored, and the best chosen."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from ..models.data import Data
from ..models.masks import MaskSet
from ..models.networks import initial_state, prunable
from ..models.seeds import derive
from ..models.weights import init_digest
from ..spectral.coordinate import FIELDS, Coordinate, full_spectrum
from .allocation import allocate
from .config import Study
from .guards import Connectivity, PathCounter
from .sampling import sample
from .sources import SOURCES
from .space import MaskDistribution, layer_theta


@dataclass(frozen=True)
class Candidate:
    """One sampled mask set with its place in the coordinate system."""

    seed: int
    masks: MaskSet
    digest: str
    connectivity: Connectivity
    coordinate: Coordinate | None
    """None where the guard rejected the mask."""
    score: float | None
    """The study's objective; None where the guard rejected the mask."""

    def row(self) -> dict[str, Any]:
        """What `candidates.json` says of it: seed, digest, score, coordinate of every layer (null: undefined)."""
        layers = {}
        if self.coordinate is not None:
            table = self.coordinate.to_dict()
            layers = {name: [values[field] for field in FIELDS] for name, values in table.items()}
        return {
            "seed": self.seed,
            "digest": self.digest,
            "l2": self.score,
            "rejected": self.connectivity.fault,
            "cut": list(self.connectivity.cut),
            "sparsity/effective": self.connectivity.effective_sparsity,
            "defined_layers": self.coordinate.defined_layers if self.coordinate else 0,
            "layers": layers,
        }


@dataclass
class Workbench:
    """What a worker keeps between trials: the network at its initial weights, the data, and score tensors by source."""

    study: Study
    model: nn.Module
    data: Data
    _scores: dict[tuple[str, int], dict[str, np.ndarray]] = field(default_factory=dict)
    _paths: PathCounter | None = None

    def __post_init__(self):
        self.weights = {name: weight.detach().cpu().numpy() for name, weight in prunable(self.model).items()}
        self.shapes = {name: weight.shape for name, weight in self.weights.items()}
        self.init_digest = init_digest(initial_state(self.model))

    def scores(self, source: str, batch_seed: int) -> dict[str, np.ndarray]:
        """The source's scores, computed once for each batch."""
        key = (source, batch_seed)
        if key not in self._scores:
            seed = derive(self.study.seed, "batch", batch_seed)
            self._scores[key] = SOURCES[source].scores(self.model, self.data, seed)
        return self._scores[key]

    def counts(self, distribution: MaskDistribution) -> dict[str, int]:
        """Kept weights of each layer under the distribution's allocation."""
        search = self.study.search
        return allocate(
            self.shapes,
            self.study.sparsity,
            search.allocation,
            layer_theta(self.study, list(self.shapes), distribution.theta),
            self.scores(distribution.source, distribution.batch_seed) if search.allocation == "global" else None,
            search.min_kept_per_output,
        )

    def connectivity(self, masks: Mapping[str, np.ndarray]) -> Connectivity:
        """Collapsed layers, paths and effective sparsity of a mask set."""
        if self._paths is None:
            self._paths = PathCounter(self.model, self.data.task)
        return self._paths.check(masks)

    def draw(self, distribution: MaskDistribution, counts: Mapping[str, int], seed: int) -> MaskSet:
        """The mask set of one seed: the same arguments give the same bits, which is how a candidate is rebuilt."""
        scores = self.scores(distribution.source, distribution.batch_seed)
        return MaskSet(sample(scores, counts, distribution.temperature, seed))

    def evaluate(self, masks: MaskSet, seed: int) -> Candidate:
        """The candidate of a mask set: guarded first, and scored where the guard lets it through."""
        connectivity, digest = self.connectivity(masks), masks.digest()
        if connectivity.fault:
            return Candidate(seed, masks, digest, connectivity, None, None)
        coordinate = full_spectrum(masks, self.weights)
        score = coordinate.l2_distance(self.study.reference, self.study.aggregate)
        return Candidate(seed, masks, digest, connectivity, coordinate, score)

    def candidates(self, distribution: MaskDistribution, trial_seed: int) -> Iterator[Candidate]:
        """The candidates of a trial, one at a time: the masks of a large network need not all be held."""
        counts = self.counts(distribution)
        for index in range(self.study.search.samples_per_trial):
            seed = derive(trial_seed, "candidate", index)
            yield self.evaluate(self.draw(distribution, counts, seed), seed)

    def metadata(self, distribution: MaskDistribution, seed: int) -> dict[str, str]:
        """What a mask file says of where its mask comes from."""
        task = self.data.task
        return {
            "model": self.study.model,
            "data": self.study.data,
            "input": json.dumps([task.channels, task.size, task.size]),
            "classes": str(task.classes),
            "init_seed": str(self.study.seed),
            "init_digest": self.init_digest,
            "allocation": self.study.search.allocation,
            "source": distribution.source,
            "temperature": repr(distribution.temperature),
            "batch_seed": str(distribution.batch_seed),
            "theta": json.dumps(distribution.theta),
            "seed": str(seed),
        }


def better(one: Candidate | None, other: Candidate) -> Candidate | None:
    """Whichever goes on: the higher score, the first of equals; a rejected candidate never."""
    if other.score is None or not math.isfinite(other.score):
        return one
    return other if one is None or other.score > one.score else one
