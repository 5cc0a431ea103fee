"""One trial: sample, guard, score, then, past the gate, warm-up training."""

import copy
import traceback
from typing import Any

import torch
from ray import tune
from ray.tune.result import DONE

from ..models.data import Data
from ..models.masks import MaskSet
from ..models.networks import build
from ..models.seeds import derive
from ..models.training import Diverged, MaskedTraining
from .candidates import Candidate, Workbench, better
from .config import Study
from .device import claim_device
from .files import StudyFolder, write_json
from .outcome import Outcome
from .record import candidate_metrics, coordinate_table
from .sources import Source
from .space import MaskDistribution


class MaskTrial(tune.Trainable):
    """A trial as Ray Tune runs it: its first step scores candidates, each further one is a piece of warm-up training.

    The actor is reused: network, data and score tensors are loaded once for each worker. The configuration is what
    `Ledger.propose` gives; results hold numbers only, masks and tables go to the trial's folder.
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
        self.reset_config(config)

    def reset_config(self, new_config: dict) -> bool:
        """Takes up another trial in the same actor."""
        self._trial = new_config
        self._best: Candidate | None = None
        self._training: MaskedTraining | None = None
        return True

    def step(self) -> dict[str, Any]:
        """The spectral score of the best candidate first, then one piece of warm-up at a time.

        An exception ends this trial and not the worker: it is reported as the trial's outcome.
        """
        try:
            return self._score() if self._best is None else self._warm_up()
        except Exception as error:  # noqa: BLE001 - a bad candidate, or a user's function, never stops the search
            folder = self._folder.trial(self._trial["number"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "error.txt").write_text(traceback.format_exc())
            iteration = self._training.iteration if self._training else 0
            reason = f"{type(error).__name__}: {error}"
            return {"training/iterations": iteration, "outcome": Outcome.FAILED.value, "reason": reason, DONE: True}

    def _score(self) -> dict[str, Any]:
        distribution = MaskDistribution.from_dict(self._trial["distribution"])
        rows = []
        for candidate in self._workbench.candidates(distribution, self._trial["seed"]):
            rows.append(candidate.row())
            self._best = better(self._best, candidate)
        folder = self._folder.trial(self._trial["number"])
        write_json(folder / "candidates.json", self._candidates_record(distribution, rows))
        result: dict[str, Any] = {"training/iterations": 0}
        if self._best is None:
            undefined = f"no layer defines {self._study.objective} at this sparsity"
            # The guard's reason where it rejected all of them.
            reason = rows[0]["rejected"] if all(row["rejected"] for row in rows) else undefined
            return result | {"outcome": Outcome.REJECTED.value, "reason": reason, DONE: True}
        metadata = self._workbench.metadata(distribution, self._best.seed) | {"study": self._study.id}
        if self._best.repaired:
            metadata["repaired"] = str(self._best.repaired)
        MaskSet(self._best.masks, metadata).save(folder / "mask.safetensors")
        write_json(folder / "coordinate.json", coordinate_table(self._best.coordinate))
        result |= candidate_metrics(self._best) | {"digest": self._best.digest}
        if self._study.warmup.iterations == 0:
            result |= {"outcome": Outcome.FINISHED.value, DONE: True}
        return result

    def _candidates_record(self, distribution: MaskDistribution, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """All that is needed to draw each candidate again, bit by bit, beside what was found of it."""
        return {
            "trial": self._trial["number"],
            "seed": self._trial["seed"],
            "distribution": distribution.to_dict(),
            "counts": self._workbench.counts(distribution),
            "best": self._best.seed if self._best else None,
            "candidates": rows,
        }

    def _warm_up(self) -> dict[str, Any]:
        warmup = self._study.warmup
        if self._training is None:
            self._training = MaskedTraining(
                copy.deepcopy(self._workbench.model),
                self._best.masks,
                self._data,
                self._study.training.recipe(self._trial["training"]),
                warmup.iterations,
                # One seed for all trials: they see the same batches in the same order, so that masks are compared.
                derive(self._study.seed, "warm-up"),
                self._device,
            )
        training = self._training
        try:
            loss = training.run(min(warmup.report_every, warmup.iterations - training.iteration))
            accuracy = training.accuracy("val")
        except Diverged as error:
            ended = {"outcome": Outcome.DIVERGED.value, "reason": str(error), DONE: True}
            return {"training/iterations": training.iteration} | ended
        result = {
            "training/iterations": training.iteration,
            "training/loss": loss,
            "accuracy/val": accuracy,
        }
        if training.iteration >= warmup.iterations:
            result |= {"outcome": Outcome.FINISHED.value, DONE: True}
        return result
