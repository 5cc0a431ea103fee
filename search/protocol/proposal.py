"""A proposal: everything that a worker needs to run a trial."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Self

from ..files import JsonObject
from ..names import Attribute
from ..sampling.distribution import MaskDistribution
from .ranking import Ranking

#: A value of a searched setting.
Value = bool | int | float | str
Values = Mapping[str, Value]


class Stage(StrEnum):
    """The part of a trial that a worker is handed."""

    WHOLE = "whole"
    SCORING = "scoring"
    TRAINING = "training"


@dataclass(frozen=True)
class Proposal:
    """A trial as it is proposed."""

    number: int
    attempt: int
    """Counts from 1; each retry or resumption is one more."""
    seed: int
    distribution: MaskDistribution
    """The distribution that the candidates are drawn from."""
    training: Values = field(default_factory=dict)
    """Values of the searched training settings."""
    ranking: Ranking | None = None
    """The ranking that is the learned score of its candidates; None where that is no objective of the study."""
    group_reason: str = ""
    """Why its group (source, pretraining, allocation) was chosen."""
    digest: str | None = None
    """Digest of the mask that was chosen before, where it is known; it is no part of the record."""
    stage: Stage = Stage.WHOLE
    """The part that is handed out; it is no part of the record."""

    def again(self) -> Self:
        """Return the proposal of the next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def handed_out(self, stage: Stage, digest: str | None) -> Self:
        """Return the proposal as a worker gets it: a part of it, with the digest of a mask that was chosen before."""
        return replace(self, stage=stage, digest=digest)

    def to_dict(self) -> JsonObject:
        """Return the proposal as it is kept: JSON-ready values."""
        ranking = {Attribute.RANKING: self.ranking.to_dict()} if self.ranking else {}
        return {
            Attribute.NUMBER: self.number,
            Attribute.ATTEMPT: self.attempt,
            # In digits: the browser of an Optuna tool rounds numbers above 2^53.
            Attribute.SEED: str(self.seed),
            Attribute.DISTRIBUTION: self.distribution.to_dict(),
            Attribute.TRAINING: dict(self.training),
            Attribute.GROUP_REASON: self.group_reason,
            **ranking,
        }

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the proposal of `to_dict`'s values, among which there may be others."""
        return cls(
            kept[Attribute.NUMBER],
            kept[Attribute.ATTEMPT],
            int(kept[Attribute.SEED]),
            MaskDistribution.from_dict(kept[Attribute.DISTRIBUTION]),
            kept[Attribute.TRAINING],
            Ranking.from_dict(kept[Attribute.RANKING]) if kept.get(Attribute.RANKING) else None,
            kept.get(Attribute.GROUP_REASON, ""),
        )

    def to_json(self) -> str:
        """Return the proposal as it is sent to a worker."""
        return json.dumps(asdict(self) | self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the proposal of `to_json`."""
        sent = json.loads(text)
        return replace(cls.from_dict(sent), digest=sent["digest"], stage=Stage(sent["stage"]))
