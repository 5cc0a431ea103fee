"""A mask source that differentiates the network, in double precision where that can be computed so."""

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from ...models.errors import InputError
from .setting import Setting
from .source import Source


class DifferentiatingSource(Source):
    """A source whose scores are made of derivatives; a new one overrides `differentiate` in the place of `scores`.

    It works in double precision, so that rounding does not decide which weights are kept: the masks are the same on any
    number of threads. A network that fixes the precision of a part (a layer that casts its input to float32, a tensor
    that is no buffer) may not be computable so: it is differentiated in its own. `try_out` decides it for all workers.
    """

    def __init__(self) -> None:
        self._precision: str | None = None

    @abstractmethod
    def differentiate(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        """Return the scores, computed in the precision that `setting` asks for."""

    def try_out(self, setting: Setting) -> None:
        """Score the few images of `setting`, and take the precision in which that is possible from now on."""
        if self.data_driven:
            setting.check_class_sizes()
        self._precision, _ = self._scored(setting, 0)

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        return self._scored(setting, seed)[1]

    def origin(self) -> dict[str, str]:
        """Return the precision that was decided on."""
        return {"precision": self._precision} if self._precision else {}

    def _scored(self, setting: Setting, seed: int) -> tuple[str, dict[str, np.ndarray]]:
        """Return the precision, and scores in it: where none was decided on, double unless that fails."""
        double, own = replace(setting, double=True), replace(setting, double=False)
        if self._precision in (None, double.precision):
            try:
                return double.precision, self.differentiate(double, seed)
            except InputError:
                raise
            except Exception:
                if self._precision:
                    raise
        try:
            return own.precision, self.differentiate(own, seed)
        except InputError as error:
            raise InputError(f"{error} (in {own.precision}, as the network cannot be computed in float64)") from error
