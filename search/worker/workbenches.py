"""The workbenches of a study, one for each number of dense iterations before masks are chosen."""

from ...models.weights import load_state
from ..remote.mirror import mirror_of
from ..sampling.distribution import MaskDistribution
from .workbench import Workbench


class Workbenches:
    """The workbenches of a study: `start` at the initial weights, the others at the weights that pretraining left.

    The latter are read from the study's folder when they are first asked for.
    """

    def __init__(self, start: Workbench) -> None:
        self.start = start
        self._after: dict[int, Workbench] = {0: start}

    def after(self, iterations: int) -> Workbench:
        """Return the workbench after so many iterations of pretraining.

        Raises InputError, naming the file, where their weights cannot be read.
        """
        if iterations not in self._after:
            folder = self.start.folder
            assert folder is not None, "pretrained weights lie in a study's folder"
            file = folder.pretrained_weights(iterations)
            mirror_of(folder).pull(file)
            state = load_state(file)
            self._after[iterations] = self.start.pretrained(iterations, state)
        return self._after[iterations]

    def of(self, distribution: MaskDistribution) -> Workbench:
        """Return the workbench that the masks of a distribution are drawn at."""
        return self.after(distribution.pretraining)
