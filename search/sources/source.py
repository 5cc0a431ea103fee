"""A mask source: it scores the weights of a network, and draws a layer's mask from their scores."""

import math
from abc import ABC, abstractmethod

import numpy as np

from ..sampling.draw import sample_layer
from .setting import Setting


class Source(ABC):
    """A scorer of the weights that training starts from. A new source overrides `scores` and stands in the registry.

    Its default allocation is its own: the ranking of its scores over the whole network.

    One that trains the network is a `TrainingSource`.
    """

    #: Whether the scores depend on training images; then several batches can be asked for by seed.
    data_driven = False
    #: Whether the scores say which weights matter, so that keeping the lowest instead is a check of them.
    has_saliency = True
    #: Whether draws are worth spreading by a searched temperature; a source that is itself random needs none.
    searches_temperature = True
    #: Whether the scores come from a training, which costs `setting.round_iterations` optimizer steps a round.
    trains = False
    #: Rounds in which weights are removed where nobody says how many; None: it has no rounds.
    default_rounds: int | None = None
    #: The name of the source whose scores these are, where that is another: they need be computed once for both.
    scored_as: str | None = None
    #: Gumbel temperature of a draw where nobody names one: 0 is the source's own deterministic top-k.
    default_temperature = 0.0

    @property
    def has_own_draw(self) -> bool:
        """Whether it draws masks in another way than by Gumbel top-k of its scores, so that they have no pattern."""
        return type(self).draw is not Source.draw

    def check(self, setting: Setting) -> None:  # noqa: B027 - most sources can work on any
        """Raise InputError where this source cannot work on `setting`; called once, before anything is scored."""

    def try_out(self, setting: Setting) -> None:  # noqa: B027 - most sources score whatever they are given
        """Raise an exception where this source cannot score such a network as that of `setting`, which has few images.

        Called once, after `check` and before anything is started.
        """

    def cost(self, setting: Setting) -> int:
        """Return the optimizer steps that its scores take; 0 by default."""
        return 0

    @abstractmethod
    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        """Return scores of `setting.weights`, finite doubles >= 0 of their shapes: the higher, the likelier to be kept.

        `seed` fixes whatever the source draws: batches of the training split, or its own random numbers.
        """

    def draw(
        self, setting: Setting, name: str, scores: np.ndarray, count: int, temperature: float, seed: int
    ) -> np.ndarray:
        """Return the mask of the parameter `name`, bool, of the shape of its `scores`: `count` weights kept.

        A function of the arguments alone. By default the Gumbel top-k of the scores.
        """
        return sample_layer(name, scores, count, temperature, seed)

    def origin(self) -> dict[str, str]:
        """Return metadata of mask files, beside the source's name, on the origin of the masks; none by default."""
        return {}


class Untempered(Source):
    """A source that is itself random: a draw at any temperature is the same."""

    has_saliency = False
    searches_temperature = False
    default_temperature = math.inf
