"""A study: every setting with its unit, range and default, and the hash that is its id."""

import hashlib
import json
import math
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ...models.architectures.registry import NETWORKS
from ...models.datasets.registry import DATASETS
from ...models.errors import InputError
from ..samplers.registry import SAMPLERS, check_sampler
from ..sampling.pattern import Pattern
from ..scores.registry import DISTANCE, LEARNED, SCORES
from ..sources.registry import ASCENT
from .distance import Aggregate, Reference, Variant
from .named import Named
from .pretraining import Pretraining
from .running import Faults, Record, Resources, Tracking
from .search import Search
from .searchable import Section, values_of
from .stages import Final, Gate, Guard, Warmup
from .training import Training

__all__ = [
    "ConfigError",
    "Faults",
    "Final",
    "Gate",
    "Guard",
    "Pretraining",
    "Record",
    "Resources",
    "Search",
    "Study",
    "Tracking",
    "Training",
    "Warmup",
]

#: An objective that no mask can be chosen by, because nothing is trained yet when they are.
ACCURACY = "accuracy"

#: The mask rule that changes nothing.
FIXED = "fixed"

#: Tables that only say where and how a study runs.
RUNNING = ("resources", "faults", "record", "tracking")

Sparsity = Annotated[float, Field(ge=0, lt=1)]


class ConfigError(InputError):
    """A setting that cannot be used, in one line that names it."""


class Study(Section):
    """One search: the network, the data, the sparsity, and how to search."""

    model: Annotated[str, Named(NETWORKS)] = Field(description="network: a name, torchvision:NAME or module:function")
    data: Annotated[str, Named(DATASETS)] = Field(
        description="data set: a name, imagefolder:PATH[@SIZE] or module:function"
    )
    sparsity: Sparsity | Annotated[list[Sparsity], Field(min_length=1)] = Field(
        description="fraction of weights removed, in [0, 1); a list makes a family: one study of each"
    )
    objective: Annotated[str, Named(SCORES)] | list[Annotated[str, Named(SCORES, (ACCURACY,))]] = Field(
        DISTANCE,
        description="score that chooses masks: l2 is the full-spectrum L2 distance, learned is fitted to the study's "
        "warm-ups, the gaps are layer means; of a list of 2 or 3 (accuracy after warm-up may be one) the first "
        "chooses, and the sampler is guided by all",
    )
    reference: Reference = Field(
        "origin", description="point that l2 is measured from; start: the same mask on the weights before pretraining"
    )
    aggregate: Aggregate = Field("sum", description="how layers combine to one l2")
    variant: Variant = Field(
        "paper", description="definition of the coordinate; authors: as the paper's first author ran it"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights and of every draw")
    replicates: int = Field(
        1, ge=1, le=100, description="studies that differ in nothing but their seed: seed, seed + 1, and so on"
    )
    pretraining: Pretraining = Field(Pretraining(), description="dense training before masks are chosen")
    search: Search = Field(Search(), description="what is proposed, and how many candidates")
    gate: Gate = Field(Gate(), description="which trials train, by their spectral score")
    guard: Guard = Field(Guard(), description="which masks may train at all, and whether the others are repaired")
    warmup: Warmup = Field(Warmup(), description="the short training of the trials that pass the gate")
    final: Final = Field(Final(), description="full training of the best masks")
    training: Training = Field(Training(), description="the recipe of warm-up and final training")
    resources: Resources = Field(Resources(), description="what each trial holds while it runs")
    faults: Faults = Field(Faults(), description="what a search endures, and when it gives up")
    record: Record = Field(Record(), description="what is recorded beside the results")
    tracking: Tracking = Field(Tracking(), description="where the record goes")

    def settings(self) -> dict[str, Any]:
        """Return every setting that is not at its default, as nested plain values."""
        return self.model_dump(exclude_defaults=True)

    @model_validator(mode="after")
    def _different_sparsities(self) -> Self:
        if isinstance(self.sparsity, list) and len(set(self.sparsity)) < len(self.sparsity):
            raise ValueError(f"sparsity = {self.sparsity}: a sparsity is named twice; each makes a study of its own")
        return self

    @model_validator(mode="after")
    def _seeds_of_replicates(self) -> Self:
        if self.seed + self.replicates > 2**63:
            raise ValueError(
                f"replicates = {self.replicates} with seed = {self.seed}: seeds end at {2**63 - 1}; set a smaller seed"
            )
        return self

    @model_validator(mode="after")
    def _nothing_breaks_the_pattern(self) -> Self:
        if self.search.pattern is None:
            return self
        pattern, given = Pattern.parse(self.search.pattern), f'search.pattern = "{self.search.pattern}"'
        for sparsity in self.sparsity if isinstance(self.sparsity, list) else [self.sparsity]:
            # A third is written as 0.667, too.
            if not math.isclose(sparsity, pattern.sparsity, abs_tol=5e-4):
                raise ValueError(
                    f"sparsity = {sparsity:g}, but {given} removes {pattern.length - pattern.kept} of every "
                    f"{pattern.length} weights; set sparsity = {pattern.sparsity:.4g}, or another pattern"
                )
        if self.guard.repair:
            raise ValueError(
                f"guard.repair = true moves weights from group to group, which {given} forbids; leave one of them out"
            )
        if others := [rule for rule in values_of(self.training.mask) if rule != FIXED]:
            raise ValueError(
                f'training.mask = "{others[0]}" changes a mask while it trains, which {given} forbids; '
                f'set training.mask = "{FIXED}", or leave the pattern out'
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _accuracy_is_not_alone(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("objective") in ("accuracy", ["accuracy"]):
            raise ValueError(
                'objective = "accuracy": masks are chosen before anything trains; '
                'name a spectral score first, as in objective = ["l2", "accuracy"]'
            )
        return values

    @model_validator(mode="after")
    def _objectives_go_together(self) -> Self:
        if isinstance(self.objective, str):
            return self
        given = f"objective = {json.dumps(self.objective)}"
        if not 2 <= len(set(self.objective)) == len(self.objective) <= 3:
            raise ValueError(f'{given}: a list names 2 or 3 different scores; one is given alone, as in "l2"')
        if self.score == ACCURACY:
            raise ValueError(
                f"{given}: the first score chooses masks before anything trains; "
                'put a spectral one first, as in objective = ["l2", "accuracy"]'
            )
        # A user's own is imported when the study begins.
        if not SAMPLERS.is_users(self.search.sampler):
            check_sampler(self.search.sampler, self.objectives)
        if ACCURACY in self.objectives and not self.warmup.iterations:
            raise ValueError(f"{given}: accuracy is measured in the warm-up, but warmup.iterations = 0; set it above 0")
        return self

    @model_validator(mode="after")
    def _losses_are_comparable(self) -> Self:
        for name in ("label_smoothing", "mask"):
            if self.warmup.metric == "training_loss" and name in self.training.searched():
                raise ValueError(
                    f'warmup.metric = "training_loss", but training.{name} is searched, and losses of different values '
                    f'are not comparable; fix {name}, or set warmup.metric = "accuracy"'
                )
        return self

    @model_validator(mode="after")
    def _settings_of_the_distance(self) -> Self:
        for name in ("reference", "aggregate"):
            given = getattr(self, name)
            if DISTANCE not in self.objectives and given != type(self).model_fields[name].default:
                raise ValueError(
                    f'{name} = "{given}" is a setting of the distance, but objective = {json.dumps(self.objective)}; '
                    f'leave {name} out, or set objective = "l2"'
                )
        if self.search.draw == "per_layer" and self.score in (DISTANCE, LEARNED) and self.aggregate != "sum":
            raise ValueError(
                f'search.draw = "per_layer" needs a score that layers add up to, but aggregate = "{self.aggregate}"; '
                'set aggregate = "sum", or search.draw = "whole"'
            )
        return self

    @model_validator(mode="after")
    def _start_is_another_point(self) -> Self:
        each = self.pretraining.each
        if self.reference == "start" and 0 in each:
            raise ValueError(
                'reference = "start" measures how far pretraining has moved a mask, but pretraining.iterations '
                f'{"= 0" if each == [0] else "may be 0"}; set it above 0, or reference = "origin"'
            )
        climbing = [name for name in self.search.sources if name.partition(":")[0] == ASCENT]
        if self.reference == "start" and climbing:
            raise ValueError(
                f'reference = "start" says how far training has moved a mask, which source {climbing[0]} cannot climb; '
                'leave it out, or set reference = "origin"'
            )
        return self

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of `objective`, also where it is one."""
        return (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)

    @property
    def global_sparsity(self) -> float:
        """The sparsity of all prunable weights together; a list of sparsities has none (see `members`)."""
        assert not isinstance(self.sparsity, list), "each sparsity of a list makes a study of its own"
        return self.sparsity

    @property
    def score(self) -> str:
        """The first objective, a spectral one: it chooses among a trial's candidates and passes the gate."""
        return self.objectives[0]

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits: the hash of the `settings()` that say what is searched, and not where and how.

        Adding a setting with a default keeps old ids.
        """
        identity = {name: value for name, value in self.settings().items() if name not in RUNNING}
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def members(self) -> list["Study"]:
        """Return the studies that are searched, each of one sparsity and one seed: for each sparsity its replicates.

        A member is the very study that it would be alone, with the same id. A study that is no family is its only one.
        """
        sparsities = self.sparsity if isinstance(self.sparsity, list) else [self.sparsity]
        seeds = range(self.seed, self.seed + self.replicates)
        return [
            self.model_copy(update={"sparsity": sparsity, "seed": seed, "replicates": 1})
            for sparsity in sparsities
            for seed in seeds
        ]
