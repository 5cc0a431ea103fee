"""One trial: sample, guard, score, then, past the gate, warm-up training."""

import contextlib
import copy
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ray import tune

from ...models.data import Data
from ...models.errors import InputError, first_line
from ...models.masks import MaskSet
from ...models.networks import build
from ...models.seeds import derive
from ...models.training import Diverged, MaskedTraining
from ..config.study import Study
from ..files import JsonObject, StudyFolder, storage_failure, write_json
from ..names import Artifact, Metric
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal, Stage
from ..protocol.report import Ended, LeftOnRequest, Measured, Report, StorageFailed, to_json
from ..remote.mirror import mirror_of
from ..remote.scratch import at_worker, of_process
from ..resumable.checkpoints import Checkpoints
from ..resumable.training import LeaveRequested, ResumableTraining
from ..sources import Source
from .candidate import Candidate, better, seed_text
from .device import claim_device
from .measures import coordinate_table, scored
from .shared import SharedInputs
from .workbench import Workbench
from .workbenches import Workbenches

#: After such an error of the GPU nothing works in its process any more: the worker is given up, and the trial retried.
_STICKY = getattr(torch, "AcceleratorError", ())


class MaskTrial(tune.Trainable):
    """A trial as Ray Tune runs it: its first step scores candidates, each further one is a piece of warm-up training.

    The actor is reused: network, data and score tensors are loaded once for each worker. The configuration is a
    proposal as JSON; so are its reports, because Tune keeps statistics of every number that it sees in either. Masks,
    tables and checkpoints go to the trial's folder. It never ends by itself: the dispatcher ends it.
    """

    # Tune passes what is bound by `with_parameters` beside the configuration.
    def setup(  # type: ignore[override]
        self,
        config: dict[str, Any],
        study: Study,
        data: Data,
        state: dict[str, torch.Tensor],
        sources: dict[str, Source],
        folder: StudyFolder,
    ) -> None:
        """Load what every trial of this worker shares."""
        if Proposal.from_json(config["proposal"]).stage is Stage.SCORING:
            # An actor is only used again for what asks for the same resources.
            study = study.model_copy(update={"resources": study.resources.while_scoring})
        here = at_worker(folder)
        self._study, self._folder = study, of_process(here)
        self._mirror = mirror_of(self._folder)
        self._leave = self._mirror.marker(self._folder.leave)
        self._device = device = claim_device(study.resources)
        self._data = data.to(device)
        model = build(study.model, data.task, study.seed)
        model.load_state_dict(state)
        self._benches = Workbenches(Workbench(study, model.to(device), self._data, sources, here))
        self._reports = study.warmup.reports
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial in the same actor."""
        if hasattr(self, "_proposal"):
            self._mirror.forget(self._trial_folder, self._checkpoint_folder)
        self._proposal = Proposal.from_json(new_config["proposal"])
        self._masks = self._chosen_before()
        self._training: ResumableTraining | None = None
        return True

    @property
    def _workbench(self) -> Workbench:
        """The workbench of the weights that the trial starts from."""
        return self._benches.of(self._proposal.distribution)

    @property
    def _trial_folder(self) -> Path:
        return self._folder.trial(self._proposal.number)

    @property
    def _checkpoint_folder(self) -> Path:
        return self._folder.checkpoints(f"trial {self._proposal.number}")

    def _chosen_before(self) -> MaskSet | None:
        """Return the mask that an earlier attempt of this trial chose; None where it is not there, whole."""
        if self._proposal.digest is None:
            return None
        file = self._trial_folder / Artifact.MASK
        try:
            self._mirror.pull(file)
            masks = MaskSet.load(file)
        except InputError:
            return None
        return masks if masks.digest() == self._proposal.digest else None

    def step(self) -> dict[str, Any]:
        """Score the candidates first, then train one piece of the warm-up at a time.

        An exception ends this trial and not the worker: it is reported as the trial's outcome.
        """
        return {Metric.ITERATIONS: self._trained, "report": to_json(self._step())}

    def _step(self) -> list[Report]:
        try:
            return self._score() if self._masks is None else self._warm_up(self._masks)
        except LeaveRequested:
            return [LeftOnRequest()]
        except Exception as error:
            if reason := storage_failure(error):
                return [StorageFailed(reason)]
            if isinstance(error, _STICKY) or isinstance(error.__cause__, _STICKY):
                raise
            self._write_error(traceback.format_exc())
            # In the rounds of a source that trains: a result of these settings, as in the warm-up.
            outcome = Outcome.DIVERGED if isinstance(error.__cause__, Diverged) else Outcome.FAILED
            return [Ended(outcome, self._trained, first_line(error))]

    @property
    def _trained(self) -> int:
        return self._training.training.iteration if self._training else 0

    def _write_error(self, text: str) -> None:
        file = self._trial_folder / Artifact.ERROR
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", errors="replace")
            self._mirror.push(file)

    def _score(self) -> list[Report]:
        best: Candidate | None = None
        rows = []
        proposal = self._proposal
        begun = time.perf_counter()
        # Kept by the workbench: the candidates are drawn from them.
        self._workbench.scores(proposal.distribution)
        known = time.perf_counter()
        for candidate in self._workbench.candidates(proposal.distribution, proposal.seed, proposal.ranking):
            if self._leave.exists():
                raise LeaveRequested
            rows.append(candidate.row())
            best = better(best, candidate)
        folder = self._trial_folder
        write_json(folder / Artifact.CANDIDATES, self._candidates_record(rows, best))
        if best is None or best.coordinate is None:
            self._mirror.push(folder)
            return [Ended(Outcome.REJECTED, 0, self._rejection(rows))]
        metadata = self._workbench.metadata(self._proposal.distribution, best.seed) | {"study": self._study.id}
        if best.repaired:
            metadata["repaired"] = str(best.repaired)
        self._masks = MaskSet(best.masks, metadata)
        self._masks.save(folder / Artifact.MASK)
        write_json(folder / Artifact.COORDINATE, coordinate_table(best.coordinate))
        self._mirror.push(folder)
        network = self._workbench.costs.cost(best.masks).network
        report = scored(best, best.coordinate, network, self._workbench.source_cost(self._proposal.distribution))
        report = replace(report, source_seconds=known - begun, seconds=time.perf_counter() - known)
        return [report] if self._study.warmup.iterations else [report, Ended(Outcome.FINISHED)]

    def _rejection(self, rows: list[JsonObject]) -> str:
        """Return why no candidate goes on: the guard's reason where it rejected all of them."""
        undefined = f"no layer defines {self._study.score} at this sparsity"
        return rows[0]["rejected"] if all(row["rejected"] for row in rows) else undefined

    def _candidates_record(self, rows: list[JsonObject], best: Candidate | None) -> JsonObject:
        """Return what draws each candidate again, bit by bit, beside what was found of it."""
        return {
            "trial": self._proposal.number,
            "seed": str(self._proposal.seed),
            "distribution": self._proposal.distribution.to_dict(),
            "ranking": self._proposal.ranking.to_dict() if self._proposal.ranking else None,
            "counts": self._workbench.counts(self._proposal.distribution),
            "best": seed_text(best.seed) if best else None,
            "candidates": rows,
        }

    def _warm_up(self, masks: MaskSet) -> list[Report]:
        if not self._study.warmup.iterations:
            # An earlier attempt chose the mask, and was lost before its end was known.
            return [Ended(Outcome.FINISHED)]
        if self._training is None:
            self._training = self._begin(masks)
        resumable, training = self._training, self._training.training
        try:
            # The first report that is not behind; a checkpoint may lie between two.
            until = next(iteration for iteration in self._reports if iteration > resumable.reported)
            begun = time.perf_counter()
            loss = resumable.run_to(until)
            trained = time.perf_counter()
            accuracy = training.accuracy("val")
        except Diverged as error:
            return [Ended(Outcome.DIVERGED, training.iteration, str(error))]
        report = Measured(training.iteration, accuracy, loss, trained - begun, time.perf_counter() - trained)
        if training.iteration < self._study.warmup.iterations:
            return [report]
        return [report, Ended(Outcome.FINISHED, training.iteration)]

    def _begin(self, masks: MaskSet) -> ResumableTraining:
        study = self._study
        training = MaskedTraining(
            copy.deepcopy(self._workbench.model),
            masks,
            self._data,
            study.training.recipe(dict(self._proposal.training)),
            study.warmup.iterations,
            # One seed for all trials: they see the same batches in the same order, so that masks are compared.
            derive(study.seed, "warm-up"),
            self._device,
        )
        checkpoints = Checkpoints(self._checkpoint_folder, self._proposal.attempt, self._mirror)
        return ResumableTraining(training, checkpoints, study.faults.checkpoint_seconds, self._leave)


def trainable_of(
    study: Study, shared: SharedInputs, sources: dict[str, Source], folder: StudyFolder
) -> type[tune.Trainable]:
    """Return `MaskTrial` with what all trials of a study share."""
    trainable: type[tune.Trainable] = tune.with_parameters(
        MaskTrial,
        study=study,
        data=shared.data,
        state=shared.state,
        sources=sources,
        folder=folder.absolute,
    )
    return trainable
