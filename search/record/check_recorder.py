"""The record of a sanity check in MLflow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...models.masks import MaskSet
from ..config.study import Study
from ..names import Kind, Metric, Param, Tag
from ..protocol.label import Label
from ..protocol.training import Entry, TrainingEnd, TrainingReport
from .runs import program_tags, reason_tag, run_status, training_params
from .spool import Spool


class CheckRecorder:
    """The events of a check's record: a parent run with the table, and a run for each training."""

    def __init__(self, spool: Spool, key: str, study: Study):
        self._spool = spool
        self._key = key
        self._study = study
        self._open: list[str] = []
        """Keys of the runs that are open, the parent first."""

    @contextmanager
    def opened(self, name: str, masks: MaskSet) -> Iterator[None]:
        """Open the parent run, called `name`; where the block is left by an exception, close every open run."""
        tags = {Tag.KIND: Kind.CHECK, Tag.MASK_DIGEST: masks.digest()}
        try:
            self._start(self._key, name, {Param.SPARSITY: self._study.sparsity}, tags)
            yield
        except BaseException as error:
            for run in reversed(self._open):
                self._spool.end(run, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise

    def start(self, training: Entry) -> None:
        """Open the run of a training with its masks."""
        params: dict[str, object] = {Param.REPEAT: training.repeat}
        tags = {Tag.KIND: Kind.BASELINE if training.label.is_baseline else Kind.MASK}
        if training.masks is not None:
            params[Param.SPARSITY] = training.masks.sparsity
            tags[Tag.MASK_DIGEST] = training.masks.digest()
        if training.init_seed is not None:
            params[Param.INIT_SEED] = training.init_seed
        run = self._run(training)
        self._start(run, f"{training.label} {training.repeat}", params, tags, self._key)
        if training.file is not None:
            self._spool.artifact(run, training.file)

    def result(self, training: Entry, report: TrainingReport) -> None:
        """Log what a training reports, and close its run at its end."""
        run = self._run(training)
        accuracies = {name: value for name, value in report.metrics.items() if name != Metric.ITERATIONS}
        self._spool.metrics(run, accuracies, report.iteration or 0)
        if isinstance(report, TrainingEnd):
            self._spool.tags(run, {Tag.OUTCOME: report.outcome.value} | reason_tag(report.reason))
            self._end(run, run_status(report.outcome))

    def close(self, table: Path, verdict: str, differences: Mapping[Label, float], status: str) -> None:
        """Log the file of the table, the verdict and the differences by baseline, and close the parent run."""
        self._spool.artifact(self._key, table)
        self._spool.metrics(self._key, {Metric.difference(label): value for label, value in differences.items()}, 0)
        self._spool.tags(self._key, {Tag.NOTE: verdict})
        self._end(self._key, status)

    def _run(self, training: Entry) -> str:
        return f"{self._key}/{training.label} {training.repeat}"

    def _start(
        self, run: str, name: str, params: Mapping[str, object], tags: Mapping[str, str], parent: str | None = None
    ) -> None:
        self._open.append(run)
        study = self._study
        common = {
            Param.MODEL: study.model,
            Param.DATA: study.data,
            Param.SEED: study.seed,
            Param.EPOCHS: study.final.epochs,
        }
        recipe = training_params(study.training.recipe())
        tags = {**program_tags("check"), **tags}
        self._spool.start(run, name, params={**common, **recipe, **params}, tags=tags, parent=parent)

    def _end(self, run: str, status: str) -> None:
        self._open.remove(run)
        self._spool.end(run, status)
