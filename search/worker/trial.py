"""One trial: sample, guard, score, then, past the gate, warm-up training."""

import contextlib
import copy
import json
import traceback
from collections.abc import Mapping
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
from ..files import StudyFolder, broken, write_json
from ..protocol.names import reported
from ..protocol.outcome import Outcome
from ..sampling.distribution import MaskDistribution
from ..sources import Source
from ..store.checkpoint import Checkpoints
from .candidate import Candidate, better
from .device import claim_device
from .measures import candidate_metrics, coordinate_table
from .resumable import Left, Pieces
from .workbench import Workbench

#: After such an error of the GPU nothing works in its process any more: the worker is given up, and the trial retried.
_POISON = getattr(torch, "AcceleratorError", ())


class MaskTrial(tune.Trainable):
    """A trial as Ray Tune runs it: its first step scores candidates, each further one is a piece of warm-up training.

    The actor is reused: network, data and score tensors are loaded once for each worker. The configuration is what
    `Dispatcher.propose` gives, as JSON; so is what the trial reports, because Tune keeps statistics of every number
    that it sees in either. Masks, tables and checkpoints go to the trial's folder. It never ends by itself: what it
    reports ends it.
    """

    def setup(
        self,
        config: dict,
        study: Study,
        data: Data,
        state: dict[str, torch.Tensor],
        sources: dict[str, Source],
        folder: StudyFolder,
    ) -> None:
        """Loads what every trial of this worker shares."""
        self._study, self._folder = study, folder
        self._device = device = claim_device(study.resources)
        self._data = data.to(device)
        model = build(study.model, data.task, study.seed)
        model.load_state_dict(state)
        self._workbench = Workbench(study, model.to(device), self._data, sources)
        self._reports = study.warmup.reports
        self.reset_config(config)

    def reset_config(self, new_config: dict) -> bool:
        """Takes up another trial in the same actor."""
        self._trial = json.loads(new_config["proposal"])
        self._masks = self._scored_before()
        self._pieces: Pieces | None = None
        return True

    def _scored_before(self) -> MaskSet | None:
        """The mask that an earlier attempt of this trial chose, if it is there, whole."""
        if self._trial["digest"] is None:
            return None
        try:
            masks = MaskSet.load(self._folder.trial(self._trial["number"]) / "mask.safetensors")
        except InputError:
            return None
        return masks if masks.digest() == self._trial["digest"] else None

    def step(self) -> dict[str, Any]:
        """The spectral score of the best candidate first, then one piece of warm-up at a time.

        An exception ends this trial and not the worker: it is reported as the trial's outcome. Reported are
        "training/iterations", and as JSON "values" (metrics, and the outcome where the trial has ended), "left" (true
        where it was asked to leave) or "broken" (what is wrong with the file system).
        """
        try:
            values = self._score() if self._masks is None else self._warm_up()
        except Left:
            return self._report({"left": True})
        except Exception as error:
            if reason := broken(error):
                return self._report({"broken": reason})
            if isinstance(error, _POISON):
                raise
            self._note(traceback.format_exc())
            values = self._ended(Outcome.FAILED, first_line(error))
        return self._report({"values": reported(values)})

    def _report(self, report: Mapping[str, Any]) -> dict[str, Any]:
        return {"training/iterations": self._trained, "report": json.dumps(report)}

    @property
    def _trained(self) -> int:
        return self._pieces.training.iteration if self._pieces else 0

    def _ended(self, outcome: Outcome, reason: str) -> dict[str, Any]:
        return {"training/iterations": self._trained, "outcome": outcome.value, "reason": reason}

    def _note(self, text: str) -> None:
        folder = self._folder.trial(self._trial["number"])
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "error.txt").write_text(text, encoding="utf-8", errors="replace")

    def _score(self) -> dict[str, Any]:
        distribution = MaskDistribution.from_dict(self._trial["distribution"])
        best: Candidate | None = None
        rows = []
        for candidate in self._workbench.candidates(distribution, self._trial["seed"]):
            if self._folder.leave.exists():
                raise Left
            rows.append(candidate.row())
            best = better(best, candidate)
        folder = self._folder.trial(self._trial["number"])
        write_json(folder / "candidates.json", self._candidates_record(distribution, rows, best))
        if best is None:
            undefined = f"no layer defines {self._study.score} at this sparsity"
            # The guard's reason where it rejected all of them.
            return self._ended(Outcome.REJECTED, rows[0]["rejected"] if all(r["rejected"] for r in rows) else undefined)
        metadata = self._workbench.metadata(distribution, best.seed) | {"study": self._study.id}
        if best.repaired:
            metadata["repaired"] = str(best.repaired)
        self._masks = MaskSet(best.masks, metadata)
        self._masks.save(folder / "mask.safetensors")
        write_json(folder / "coordinate.json", coordinate_table(best.coordinate))
        result = {"training/iterations": 0} | candidate_metrics(best) | {"digest": best.digest}
        return result if self._study.warmup.iterations else result | {"outcome": Outcome.FINISHED.value}

    def _candidates_record(
        self, distribution: MaskDistribution, rows: list[dict[str, Any]], best: Candidate | None
    ) -> dict[str, Any]:
        """All that is needed to draw each candidate again, bit by bit, beside what was found of it."""
        return {
            "trial": self._trial["number"],
            "seed": self._trial["seed"],
            "distribution": distribution.to_dict(),
            "counts": self._workbench.counts(distribution),
            "best": best.seed if best else None,
            "candidates": rows,
        }

    def _warm_up(self) -> dict[str, Any]:
        pieces = self._pieces = self._pieces or self._begin()
        training = pieces.training
        try:
            # The first report that is not behind; a checkpoint may lie between two.
            until = next(iteration for iteration in self._reports if iteration > pieces.reported)
            loss = pieces.run_to(until)
            accuracy = training.accuracy("val")
        except Diverged as error:
            return self._ended(Outcome.DIVERGED, str(error))
        values = {"training/iterations": training.iteration, "training/loss": loss, "accuracy/val": accuracy}
        if training.iteration >= self._study.warmup.iterations:
            values |= {"outcome": Outcome.FINISHED.value}
        return values

    def _begin(self) -> Pieces:
        study, number = self._study, self._trial["number"]
        training = MaskedTraining(
            copy.deepcopy(self._workbench.model),
            self._masks,
            self._data,
            study.training.recipe(self._trial["training"]),
            study.warmup.iterations,
            # One seed for all trials: they see the same batches in the same order, so that masks are compared.
            derive(study.seed, "warm-up"),
            self._device,
        )
        checkpoints = Checkpoints(self._folder.checkpoints(f"trial {number}"), self._trial["attempt"])
        return Pieces(training, checkpoints, study.faults.checkpoint_seconds, self._folder.leave)
