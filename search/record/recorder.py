"""The recorder: turns the events of a search into those of its record, under the names that the record promises."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...spectral.chance import ZScore
from ..config.study import Study
from ..files import StudyFolder, write_json
from ..names import Artifact, Kind, Metric, Param, Tag
from ..protocol.events import Listener, Summary
from ..protocol.label import Label
from ..protocol.network import NetworkListing
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal, Values
from ..protocol.report import Measured, Scored, finite
from ..protocol.result import Decision, TrialResult
from ..protocol.training import CoordinateProgress, Entry, TrainingEnd, TrainingProgress
from .bestfolder import BestFolder
from .environment import environment
from .note import best_row, closing_note, name_of, opening_note
from .provenance import proposal_params, task_params
from .runs import dataset_input, program_tags, reason_tag, run_name, run_status, training_params
from .spool import Spool

#: Places on the leaderboard that are tagged: requests for thousands would keep the end of a study waiting.
_RANKED = 100


class Recorder(Listener):
    """A listener that writes a study's record: a parent run, and a nested run for each trial and baseline.

    Every event goes to the spool with its time fixed; none of the methods waits for MLflow. The spool takes nothing
    twice: a driver that takes a study up announces all that the ledger holds, in order, and what is missing in the
    record gets there.
    """

    hears_history = True

    def __init__(self, study: Study, folder: StudyFolder, spool: Spool) -> None:
        self._study = study
        self._folder = folder
        self.spool = spool
        # A hash of all settings: not made anew for every event.
        self._parent = study.id
        self._digests: dict[int, str] = {}
        self._proposals: dict[int | None, Proposal] = {}
        self._dataset: dict[str, str] | None = None
        self._program = program_tags("search")

    def study_started(self, network: NetworkListing) -> None:
        """Open the parent run: settings, initial weights, environment, and the listing of the network."""
        self._dataset = dataset_input(network.get("dataset"))
        tags = {Tag.KIND: Kind.STUDY, Tag.STUDY: self._parent, **self._program}
        if network["adaptations"]:
            tags[Tag.ADAPTATIONS] = "; ".join(network["adaptations"])
        if reduced := {name: dtype for name, dtype in network.get("precision", {}).items() if dtype != "float64"}:
            tags[Tag.PRECISION] = "; ".join(f"{name}: {dtype}" for name, dtype in reduced.items())
        name, params = f"search {self._parent}", self._study_params()
        self.spool.start(self._parent, name, params=params, tags=tags, dataset=self._dataset)
        self.spool.note(self._parent, opening_note(self._study))
        documents = {
            # Without [tracking]: a database URL may hold a password.
            Artifact.STUDY: self._study.model_dump(exclude={"tracking"}) | {"seed": str(self._study.seed)},
            Artifact.ENVIRONMENT: environment(),
            Artifact.NETWORK: network,
        }
        for name, document in documents.items():
            write_json(self._folder.report / name, document)
            self.spool.artifact(self._parent, self._folder.report / name)
        self.spool.artifact(self._parent, self._folder.initial_weights)

    def weights_ready(self, digests: Mapping[int, str], files: Sequence[Path]) -> None:
        """Add the weights that masks start from to the parent run, and name them in the runs of trials."""
        self._digests = dict(digests)
        for file in files:
            self.spool.artifact(self._parent, file)

    def _study_params(self) -> dict[str, object]:
        study = self._study
        return {
            **task_params(study),
            Param.SEED: study.seed,
            **{Param.setting("search", key): value for key, value in study.search.model_dump().items()},
            Param.PRETRAINING: study.pretraining.iterations,
            **{Param.setting("guard", key): value for key, value in study.guard.model_dump().items()},
        }

    def _run(self, label: Label) -> str:
        return f"{self._parent}/{label}"

    def trial_started(self, proposal: Proposal) -> None:
        """Open the run of a trial with what was proposed."""
        # One that does not train has no settings for it but those that it proposes for a full training.
        trains = self._study.warmup.iterations or proposal.training
        self._proposals[proposal.number] = proposal
        distribution = proposal.distribution
        params = {
            **proposal_params(proposal),
            **self._weights(distribution.pretraining),
            Param.GROUP_REASON: proposal.group_reason,
            **(self._recipe(proposal.training) if trains else {}),
        }
        tags = {Tag.KIND: Kind.TRIAL, Tag.ATTEMPT: str(proposal.attempt), Tag.SOURCE: distribution.source}
        self._open(Label.of_trial(proposal.number), params, tags, proposal.attempt)

    def _name(self, label: Label, accuracy: float | None, outcome: Outcome) -> dict[str, str]:
        """Return the tag that names the run of a trial or of a baseline by what it came to."""
        return {Tag.RUN_NAME: run_name(label, self._source(label), accuracy, outcome)}

    def _source(self, label: Label) -> str:
        proposal = self._proposals.get(label.number)
        return proposal.distribution.source if proposal else ""

    def _weights(self, iterations: int) -> dict[str, object]:
        """Return the parameters of the weights that masks are made for: those after so many dense iterations."""
        digest = self._digests.get(iterations)
        return {Param.PRETRAINING: iterations} | ({Param.WEIGHTS_DIGEST: digest} if digest else {})

    def _recipe(self, training: Values) -> dict[str, object]:
        return training_params(self._study.training.recipe(dict(training)))

    def _open(self, label: Label, params: Mapping[str, object], tags: dict[str, str], attempt: int = 1) -> None:
        tags = {Tag.STUDY: self._parent, **self._program} | tags
        self.spool.start(
            self._run(label),
            run_name(label, self._source(label)),
            parent=self._parent,
            params=params,
            tags=tags,
            attempt=attempt,
            dataset=self._dataset,
        )

    def trial_reported(self, number: int, report: Scored | Measured, gate: Decision | None) -> None:
        """Log one result of a trial; the first one brings its mask, its candidates and its coordinate."""
        run = self._run(Label.of_trial(number))
        if self.spool.ended(run):
            return
        if isinstance(report, Scored):
            self._candidate(run, number, report.digest, gate)
        self.spool.metrics(run, report.metrics, report.iteration)

    def _candidate(self, run: str, number: int, digest: str, gate: Decision | None) -> None:
        folder = self._folder.trial(number)
        for name in (Artifact.CANDIDATES, Artifact.MASK, Artifact.COORDINATE):
            self.spool.artifact(run, folder / name)
        tags = {Tag.GATE: gate} if gate else {}
        self.spool.tags(run, tags | {Tag.MASK_DIGEST: digest} | _table(Artifact.COORDINATE))

    def trial_ended(self, number: int, outcome: Outcome, result: TrialResult) -> None:
        """Close the run of a trial with its real end."""
        run = self._run(Label.of_trial(number))
        if self.spool.ended(run):
            return
        known = {Metric.ACCURACY_WARMUP: result.accuracy, Metric.COST: result.cost}
        self.spool.metrics(run, _known(known), result.iterations)
        name = self._name(Label.of_trial(number), result.accuracy, outcome)
        self.spool.tags(run, {Tag.OUTCOME: outcome.value} | reason_tag(result.reason) | name)
        if outcome is Outcome.FAILED:
            self.spool.artifact(run, self._folder.trial(number) / Artifact.ERROR)
        self.spool.end(run, run_status(outcome))

    def compared_with_chance(self, label: Label, distance: ZScore, picture: Path) -> None:
        """Log the z-score of the distance of a trial's mask, unless all random masks are alike."""
        run = self._run(label)
        self.spool.metrics(run, finite({Metric.Z_DISTANCE: distance.z}), 0)
        self.spool.artifact(run, picture)

    def training_opened(self, entry: Entry, again: bool) -> None:
        """Open the run of a baseline with the file of its masks; `again` opens it anew, where it has failed."""
        if self.spool.ended(self._run(entry.label)) and not again:
            return
        tags = {Tag.KIND: Kind.BASELINE} | ({Tag.OF: entry.of} if entry.of else {})
        weights = self._weights(entry.pretraining)
        if entry.init_seed is not None:
            weights = {Param.PRETRAINING: entry.pretraining, Param.INIT_SEED: entry.init_seed}
        self._open(entry.label, weights | self._recipe(entry.training), tags)
        if entry.file is not None:
            self.spool.artifact(self._run(entry.label), entry.file)

    def training_progressed(self, entry: Entry, progress: TrainingProgress) -> None:
        """Log validation accuracy in the course of full training."""
        self._progress(entry, progress)

    def coordinate_measured(self, entry: Entry, progress: CoordinateProgress) -> None:
        """Log the coordinate in the course of full training."""
        self._progress(entry, progress)

    def _progress(self, entry: Entry, progress: TrainingProgress | CoordinateProgress) -> None:
        run = self._run(entry.label)
        if not (entry.label.is_baseline and self.spool.ended(run)):
            self.spool.metrics(run, progress.metrics, progress.iteration)

    def training_ended(self, entry: Entry, end: TrainingEnd) -> None:
        """Log what full training came to; where its mask changed, with its masks and weights and its picture.

        The run of a baseline is closed; that of a trial is closed already.
        """
        run, baseline = self._run(entry.label), entry.label.is_baseline
        if baseline and self.spool.ended(run):
            return
        step, totals = end.iteration or 0, _known({Metric.ITERATIONS: end.iteration, Metric.COST: entry.cost_of(end)})
        # Not before the end of the warm-up: MLflow takes the value of the highest step for the last one.
        last = step if baseline else max(step, self._study.warmup.iterations)
        self.spool.metrics(run, end.measured | (totals if step == last else {}), step)
        self.spool.metrics(run, totals, last)
        if entry.ends is not None:
            for name in (Artifact.END_MASK, Artifact.END_WEIGHTS, Artifact.TRAJECTORY):
                self.spool.artifact(run, entry.ends / name)
        if entry.own_weights is not None:
            self.spool.artifact(run, entry.own_weights)
        tags = {Tag.OUTCOME if baseline else Tag.FINAL_OUTCOME: end.outcome.value} | reason_tag(end.reason)
        if baseline or end.accuracy_final is not None:
            tags |= self._name(entry.label, end.accuracy_final, end.outcome)
        self.spool.tags(run, tags)
        if baseline:
            self.spool.end(run, run_status(end.outcome))

    def study_ended(self, summary: Summary) -> None:
        """Close the parent run with the study's tables and plots, its best mask, and its verdicts in the description.

        The first of the leaderboard are tagged with their places, the trials on the Pareto front, where it is known,
        with that, and those that have left either no longer are.
        """
        if summary.pareto is not None:
            front = {self._run(label) for label in summary.pareto}
            for run in sorted(front.union(self.spool.tagged(Tag.PARETO, "true"))):
                self.spool.tags(run, {Tag.PARETO: "true" if run in front else "false"})
        self._rank(summary)
        self._best(summary)
        self.spool.note(self._parent, closing_note(self._study, summary))
        for path in summary.files:
            self.spool.artifact(self._parent, path)
        self.spool.metrics(self._parent, dict(summary.metrics), 0)
        if any(path.name == Artifact.LEADERBOARD for path in summary.files):
            self.spool.tags(self._parent, _table(Artifact.LEADERBOARD))
        self.spool.end(self._parent, summary.status)

    def _rank(self, summary: Summary) -> None:
        """Tag the first trials of the leaderboard with their places, and take those of others away."""
        labels = [Label(row["mask"]) for row in summary.rows]
        ranked = [self._run(label) for label in labels if not label.is_baseline][:_RANKED]
        places = {run: str(place) for place, run in enumerate(ranked, 1)}
        for run in sorted(places.keys() | set(self.spool.having(Tag.RANK)) if summary.rows else ()):
            self.spool.tags(run, {Tag.RANK: places.get(run, "")})

    def _best(self, summary: Summary) -> None:
        """Log the best mask with its weights, and name the parent run by it."""
        best = best_row(summary)
        if best is None:
            return
        label, accuracy = Label(best["mask"]), best[Metric.ACCURACY_FINAL]
        name = f"search {self._parent}: {name_of(best)}" + ("" if accuracy is None else f" {accuracy:.3f}")
        tags = {Tag.BEST: label, Tag.EXPORT: f"best:{self._parent}", Tag.VERDICT: summary.trust}
        self.spool.tags(self._parent, tags | {Tag.RUN_NAME: name})
        if (proposal := self._proposals.get(label.number)) is not None:
            for file in BestFolder(self._study, self._folder).fill(proposal, best):
                self.spool.artifact(self._parent, file, Artifact.BEST)


def _known(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Return the metrics whose value is known."""
    return {name: value for name, value in metrics.items() if value is not None}


def _table(path: str) -> dict[str, str]:
    """Return the tag by which MLflow's UI shows the artifact at `path` as a table."""
    return {Tag.TABLES: json.dumps([{"path": path, "type": "table"}])}
