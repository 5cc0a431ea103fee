"""Learning-rate rewinding."""

from .removal import Removal


class LearningRateRewinding(Removal):
    """The rule of Renda, Frankle and Carbin (ICLR 2020): prune, go on from the weights, begin the learning rate anew.

    A round takes `schedule.every` iterations and the whole schedule of the learning rate. At its end each layer loses
    the same fraction of its weights, the smallest, so that the last round leaves what the given mask keeps. After it
    the schedule is run once more, to the end of the training. All rounds together are one training here; in the
    paper each of them takes as long as the first training.
    """

    def left(self, kept: int, size: int, progress: float) -> float:
        """Return the number of weights on the exponential from `size` down to `kept`."""
        return float(size * (kept / size) ** progress)

    def learning_rate_span(self, iteration: int, total_iterations: int) -> tuple[int, int]:
        """Return the position of a step in its round, and the round's length."""
        every, updates = self.schedule.every, self.schedule.updates(total_iterations, total_iterations)
        start = every * self.schedule.updates(iteration, total_iterations)
        return iteration - start, every if start < every * updates else total_iterations - start
