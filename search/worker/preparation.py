"""The workbench of a study, made and tried in the driver before anything starts."""

from ...models.data import load
from ...models.networks import build
from ...models.trainable import check_trainable
from ..config.own import import_own
from ..config.study import Study
from ..files import StudyFolder
from ..guards.unpruned import warn_unpruned
from ..sampling.distribution import MaskDistribution
from .pretraining import check_pretraining
from .rulecheck import check_mask_rules
from .workbench import Workbench


def prepare(study: Study, folder: StudyFolder | None = None) -> Workbench:
    """Return the workbench of a study: its data and its network at the initial weights, tried on a batch.

    Raises InputError for settings that cannot work together, for a source that cannot score the network, for a
    budget that the layers cannot meet, and for a mask rule that has no time to reach its masks.
    """
    import_own(study)
    data = load(study.data, study.seed)
    check_mask_rules(study, data)
    model = build(study.model, data.task, study.seed)
    check_trainable(model, data, study.model, batch_size=study.training.least_batch_size)
    warn_unpruned(model)
    check_pretraining(study, data)
    workbench = Workbench(study, model, data, folder=folder)
    workbench.paths.warn_estimated()
    workbench.warn_pattern()
    workbench.try_sources()
    # A budget below the floors is found here and not in every trial.
    workbench.counts(MaskDistribution("random", 0.0, 0, {}))
    return workbench
