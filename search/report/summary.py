"""What a study came to: its result, and the report that is written of it."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..config.study import Study
from ..driver.running import RunningSearch
from ..files import StudyFolder, write_json
from ..names import Artifact, Metric
from ..process.shutdown import stop_on_storage_failure
from ..protocol.events import Summary
from ..protocol.label import Label
from ..protocol.network import NetworkListing
from ..protocol.outcome import Outcome
from ..store.records import FinalRecord, TrialRecord
from .audit.audit import Audit, audit
from .audit.document import document
from .audit.ofstudy import study_table
from .audit.verdict import verdict
from .comparison import interval
from .facts import StudyFacts
from .gallery import draw_recorded
from .leaderboard import Row, leaderboard, split_table
from .searchcost import SearchCost
from .verdicts import against_baselines, headline


@dataclass(frozen=True)
class StudyResult:
    """What a study came to."""

    study: Study
    folder: StudyFolder
    trials: list[TrialRecord]
    finals: list[FinalRecord]
    rows: list[Row]
    """The leaderboard, best first."""
    remaining: int
    """Trials still to be run; above 0 where the study was interrupted."""
    verdicts: list[str]
    """Sentences on whether the best mask beats a random one, whether the objective was worth trusting, and the cost."""
    audit: Audit
    """What the study says of its scores."""
    network: NetworkListing
    stopped: str | None = None
    """Why the study stopped before its end, where it did: Ctrl-C, the failure budget, a full disk."""
    signal: int | None = None
    """The signal that stopped it, if one did."""
    pareto: list[Label] = field(default_factory=list)
    """The trials that no other betters in every objective, where there are several."""

    @property
    def trials_by_label(self) -> dict[Label, TrialRecord]:
        """The trials by the names that the leaderboard gives them."""
        return {trial.label: trial for trial in self.trials}

    @property
    def facts(self) -> StudyFacts:
        """What pictures and comparisons are made from."""
        return StudyFacts(self.study, self.rows, self.network, self.trials, self.finals, self.audit)

    @property
    def failure(self) -> str | None:
        """A sentence where not one trial, or not one full training, came to a result; None otherwise."""
        trials = [(trial.outcome, trial.result.reason) for trial in self.trials if trial.outcome]
        finals = [(final.outcome, final.end.reason) for final in self.finals]
        for what, ends, bad in (
            ("trial", trials, (Outcome.FAILED, Outcome.REJECTED)),
            ("full training", finals, (Outcome.FAILED,)),
        ):
            if ends and all(outcome in bad for outcome, _ in ends):
                reasons = Counter(reason or "the worker died" for _, reason in ends)
                return f"not one {what} came to a result; the commonest reason: {reasons.most_common(1)[0][0]}"
        return None

    @property
    def status(self) -> str:
        """MLflow's status of the search."""
        if self.signal:
            return "KILLED"
        return "FAILED" if self.failure or self.remaining or self.stopped else "FINISHED"


def summarise(search: RunningSearch) -> StudyResult:
    """Return what a search came to, its tables and plots written and its end announced."""
    study, shutdown = search.study, search.shutdown
    network = search.workbench.network
    images, classes = network["dataset"]["splits"]["test"], network["task"]["classes"]
    trials, finals, rows = search.ledger.trials(), search.ledger.finals(), leaderboard(search.ledger)
    cost = SearchCost.of(search.workbench, trials, finals)
    audited = audit(study_table(study, trials, finals, network=network))
    result = StudyResult(
        study,
        search.folder,
        trials,
        finals,
        rows,
        search.ledger.remaining,
        [
            *against_baselines(rows, images, classes),
            verdict(audited),
            *([cost.sentence()] if cost.steps else []),
        ],
        audited,
        network,
        shutdown.reason,
        shutdown.signal,
        search.ledger.pareto(),
    )
    with stop_on_storage_failure(shutdown):
        files = _write_report(result)
        # What a study comes to is recorded once, at its end: of the best mask its scores, accuracies and cost.
        best = rows[0].values() if rows else {}
        metrics = audited.metrics | {name: value for name, value in best.items() if isinstance(value, float | int)}
        recorded = {} if result.remaining or result.stopped else metrics | {Metric.COST_SEARCH: cost.steps}
        search.listeners.study_ended(
            Summary(
                result.status,
                recorded,
                files,
                result.verdicts,
                headline(rows, images, classes),
                verdict(audited),
                [row.values() for row in rows],
                {row.label: interval([row.accuracy_final], images) for row in rows if row.accuracy_final is not None},
                result.pareto,
            )
        )
    # A signal that came meanwhile interrupted nothing; a file system that cannot be written to did.
    return result if shutdown.signal else replace(result, stopped=shutdown.reason)


def _write_report(result: StudyResult) -> list[Path]:
    """Write the tables and plots, and return their files."""
    folder, files = result.folder.report, []
    if result.rows:
        files.append(folder / Artifact.LEADERBOARD)
        write_json(files[-1], split_table(result.rows))
    if result.pareto:
        files.append(folder / Artifact.PARETO)
        write_json(files[-1], split_table([row for row in result.rows if row.label in result.pareto]))
    files.append(folder / Artifact.AUDIT)
    write_json(files[-1], document(result.audit))
    return files + draw_recorded(result.facts, folder)
