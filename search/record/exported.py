"""A mask with its weights, as it leaves the record."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ...models.errors import InputError
from ...models.masks import MaskSet
from ...models.weights import init_digest, load_state
from ..files import JsonObject
from ..protocol.label import Label
from .choice import END, NONE, START, Choice


@dataclass(frozen=True)
class MaskFiles:
    """The files of a mask: at the start and at the end of its training, with the weights of both."""

    study: str
    label: Label
    mask: Path
    weights: Path
    end_mask: Path | None
    """None where the training changed no mask, or where it was not trained."""
    end_weights: Path | None
    """None where it was not trained in full, or where they were not kept."""
    provenance: JsonObject
    run: str | None = None
    """The MLflow id of its run; None where that is not known."""
    init_seed: int | None = None
    """Seed of the initial weights where they are others than those that the mask was made for."""

    def read(self, choice: Choice) -> "Exported":
        """Return the mask and the weights of a choice. Raises InputError where there are none such."""
        return Exported(self, choice, self._masks(choice), self._state(choice))

    def _masks(self, choice: Choice) -> MaskSet:
        if choice.mask == START:
            return MaskSet.load(self.mask)
        if self.end_mask is None:
            raise InputError(
                f"the mask of {self.label} did not change in a full training; leave --mask end out, or search with "
                "--set training.mask=rigl"
            )
        return MaskSet.load(self.end_mask)

    def _state(self, choice: Choice) -> dict[str, Tensor] | None:
        if choice.weights == NONE:
            return None
        if choice.weights == START:
            return load_state(self.weights)
        if self.end_weights is None:
            raise InputError(
                f"{self.label} has no weights of the end of a training: the best masks of a study are trained in full, "
                "and theirs are kept; give --weights start"
            )
        if choice.mask == START and self.end_mask is not None:
            raise InputError(f"the mask of {self.label} changed in its training; give --mask end with --weights end")
        return load_state(self.end_weights)


@dataclass(frozen=True)
class Exported:
    """A mask and weights that belong together."""

    files: MaskFiles
    choice: Choice
    masks: MaskSet
    state: Mapping[str, Tensor] | None
    """None: the mask alone."""

    def matched(self) -> "Exported":
        """Return the same with a mask that names these weights, where they are not those that it was made for."""
        own = self.choice.mask == self.choice.weights and self.files.init_seed is None
        if self.state is None or (own and (self.choice.mask == START or self.files.end_mask is not None)):
            return self
        metadata = {**self.masks.metadata, "init_digest": init_digest(self.state)}
        if self.files.init_seed is not None:
            metadata["init_seed"] = str(self.files.init_seed)
        if self.choice.weights == END:
            metadata["at"] = END
        return replace(self, masks=MaskSet(self.masks, metadata))

    @property
    def provenance(self) -> JsonObject:
        """What the file beside an export says of where the mask comes from."""
        return {**self.files.provenance, "mask": self.choice.mask, "weights": self.choice.weights}
