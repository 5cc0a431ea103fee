"""A search while it runs: what the parts of its driver share."""

from dataclasses import dataclass
from typing import Self

from ..config.study import Study
from ..files import StudyFolder
from ..guidance.groups import Groups
from ..guidance.proposer import Proposer
from ..process.shutdown import Shutdown
from ..protocol.events import Listeners
from ..store.writer import LedgerWriter
from ..worker.pretraining import schedule_iterations
from ..worker.shared import SharedInputs
from ..worker.workbench import Workbench
from ..worker.workbenches import Workbenches


@dataclass(frozen=True)
class RunningSearch:
    """One study while a driver runs it."""

    benches: Workbenches
    folder: StudyFolder
    ledger: LedgerWriter
    proposer: Proposer
    listeners: Listeners
    shutdown: Shutdown
    shared: SharedInputs
    """The inputs of the workers: the data, and the initial weights."""

    @property
    def workbench(self) -> Workbench:
        """The workbench at the initial weights."""
        return self.benches.start

    @property
    def study(self) -> Study:
        """The study's settings."""
        return self.workbench.study

    @classmethod
    def open(
        cls,
        workbench: Workbench,
        folder: StudyFolder,
        ledger: LedgerWriter,
        listeners: Listeners,
        shutdown: Shutdown,
    ) -> Self:
        """Return the search of a study, with what its ledger holds taken up; Ray must be connected."""
        study = workbench.study
        groups = Groups(study, workbench.source_cost, schedule_iterations(study, workbench.data))
        if groups.warning:
            listeners.noticed(groups.warning)
        proposer = Proposer(study, ledger, list(workbench.setting.weights), groups)
        return cls(Workbenches(workbench), folder, ledger, proposer, listeners, shutdown, SharedInputs.put(workbench))
