"""GraSP: gradient signal preservation."""

from functools import partial

import numpy as np

from .differentiating import DifferentiatingSource
from .gradients import hessian_gradients, losses, working_copy
from .setting import Setting

#: Temperature of the logits, as in the authors' code: a softmax that is nearly uniform makes the scores robust to the
#: scale of the initial weights.
TEMPERATURE = 200

#: Parts that the batch is taken in, class by class, as in the authors' code.
HALVES = 2


class GraSP(DifferentiatingSource):
    """The rank of w * (Hg), the loss of gradient norm if the weight is removed (Wang et al., ICLR 2020, eq. 8).

    The published mask keeps the weights of the highest w * (Hg), negative ones last. Their order over the network, ties
    broken by layer and index, gives a score that is >= 0 and can be drawn from: 1 / position (Zipf's law). Its top k
    are the published mask for every k.

    As in the authors' code, batch normalisation is in training mode and the batch is taken in two halves, class by
    class, each with statistics of its own. Taken as a whole, the same batch gives another mask (a third of the kept
    weights in common on a ResNet-20 at sparsity 0.98).
    """

    data_driven = True

    def differentiate(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        model, weights = working_copy(setting)
        products = hessian_gradients(weights, partial(losses, model.train(), setting, seed, TEMPERATURE, HALVES))
        saliency = np.concatenate(
            [(weight.detach() * products[name]).ravel().cpu().numpy() for name, weight in weights.items()]
        )
        scores = np.empty(saliency.size)
        scores[np.argsort(-saliency, kind="stable")] = 1 / np.arange(1, saliency.size + 1)
        return setting.split(scores)
