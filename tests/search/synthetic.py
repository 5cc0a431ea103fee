"""A study that nobody ran: trials, full trainings and files as a search writes them, made up and written at once."""

import os
from pathlib import Path

import numpy as np
import pytest
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home, StudyFolder, write_json
from fullspectrum.search.names import Artifact, Metric
from fullspectrum.search.protocol.label import (
    DENSE,
    ERK_RANDOM,
    ERK_RANDOM_EQUAL_COST,
    INVERTED,
    REINITIALISED,
    SHUFFLED,
    Label,
)
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Ended, Measured, Scored
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import TrainingEnd
from fullspectrum.search.record.environment import environment
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.records import FinalRecord
from fullspectrum.search.store.storage import open_storage
from fullspectrum.search.worker.listing import listing

from .drivers import OpenStudy

SOURCES = ("random", "magnitude", "snip", "iterative-snip", "grasp", "synflow", "imp", "gem-miner", "edge-popup")

#: What is scored beside the objective.
_SCORES = ("l2", "imdb", "ramanujan_gap", "weighted_gap", "imsg", "layer_density")


def synthetic_study(trials: int, finalists: int, *, sparsity: float = 0.98, seed: int = 0) -> Study:
    """The settings of a study of nine sources at two numbers of pretraining iterations."""
    return parse(
        {
            "model": "resnet20",
            "data": "cifar10",
            "sparsity": sparsity,
            "seed": seed,
            "pretraining": {"iterations": {"choices": [0, 500]}},
            "search": {"trials": trials, "sampler": "random", "sources": list(SOURCES), "theta": "stage"},
            "warmup": {"iterations": 300, "report_every": 25, "grace_period": 50},
            "final": {"top_k": finalists, "epochs": 10},
            "training": {"learning_rate": {"low": 0.01, "high": 0.3, "log": True}},
        }
    )


class Synthetic:
    """Writes a study under a home folder; chance is fixed by the study's seed."""

    def __init__(self, home: Path, study: Study, learns: bool = True):
        self.study = study
        self.folder: StudyFolder = Home(home).create().study(study.id)
        self._chance = np.random.default_rng(study.seed)
        self._learns = learns
        self._network = listing(build("resnet20", Task(3, 32, 10), 0), "resnet20", Task(3, 32, 10))
        splits = {"train": 45_000, "val": 5_000, "test": 10_000}
        self._network["dataset"] = {"name": study.data, "digest": "0" * 16, "splits": splits}

    def ledger(self) -> Ledger:
        """The study's ledger, as a reader opens it."""
        return Ledger(self.study, open_storage(None, self.folder.journal, create=False))

    def write(self, ended: int | None = None) -> None:
        """Writes the study, or the first trials of it without any full training."""
        study, folder = self.study, self.folder
        folder.write_settings(study.settings())
        write_json(folder.report / Artifact.NETWORK, self._network)
        write_json(folder.report / Artifact.ENVIRONMENT, environment())
        ledger = OpenStudy(study, open_storage(None, folder.journal), list(self._network["layers"]))
        best = {}
        for _ in range(study.search.trials if ended is None else ended):
            proposal = ledger.propose()
            accuracy = self._trial(ledger, proposal)
            if accuracy is not None:
                best[proposal.number] = accuracy
        if ended is None:
            self._finals(ledger, sorted(best, key=best.get, reverse=True)[: study.final.top_k])

    def _trial(self, ledger: OpenStudy, proposal: Proposal) -> float | None:
        """Ends one trial as gate and rungs would; returns the accuracy of one that came to its end."""
        source = SOURCES.index(proposal.distribution.source)
        quality = self._chance.normal(0, 0.02) + 0.01 * source + (0.05 if proposal.distribution.pretraining else 0)
        score = 4 + 3 * source + 20 * quality + self._chance.normal(0, 1)
        metrics = {Metric.score(name): score * (1 + 0.2 * self._chance.random()) for name in _SCORES}
        metrics |= {Metric.OBJECTIVE: score, "score/log_density": -3 + quality + 0.1 * self._chance.normal()}
        cost = proposal.distribution.pretraining + (1800 if source >= 6 else 0)
        metrics[Metric.COST] = cost
        number, attempt, digest = proposal.number, proposal.attempt, f"{proposal.number:064x}"
        self._coordinate(number)
        ledger.scored(number, attempt, Scored(metrics, digest))
        result = TrialResult(metrics, digest)
        # The first two come to their end, so that the smallest study has a winner.
        draw = self._chance.random() if number > 1 else 1.0
        if draw < 0.45:
            ledger.finish(number, attempt, Outcome.STOPPED_BY_GATE, result.gated("stopped"))
            return None
        result = result.gated("control" if draw < 0.55 else "passed")
        end, outcome = (300, Outcome.FINISHED) if draw > 0.8 else (50, Outcome.STOPPED_EARLY)
        accuracy = 0.1
        for at in [at for at in self.study.warmup.reports if at <= end]:
            top = 0.75 + quality if self._learns else 0.1
            accuracy = float(np.clip(top - (top - 0.1) * np.exp(-at / 80) + self._chance.normal(0, 0.004), 0, 1))
            report = Measured(at, accuracy, 2.0)
            result = result.after(report)
            if at < self.study.warmup.iterations:
                ledger.measured(number, attempt, report)
        ledger.finish(number, attempt, outcome, result.after(Ended(outcome, end)))
        return accuracy if outcome is Outcome.FINISHED else None

    def _coordinate(self, number: int) -> None:
        rows = []
        for name, layer in self._network["layers"].items():
            sparsity = 1 - 0.02 * float(np.exp(self._chance.normal(0.5, 0.6)))
            rows.append([name, 1.0, 0.5, None, 0.2, sparsity, layer["weights"], "paper"])
        columns = ["layer", "ramanujan_gap", "imdb", "weighted_gap", "imsg", "sparsity", "weights", "variant"]
        write_json(self.folder.trial(number) / Artifact.COORDINATE, {"columns": columns, "data": rows})

    def _finals(self, ledger: OpenStudy, finalists: list[int]) -> None:
        top, steps = (0.88 if self._learns else 0.1), 3520
        for number in finalists:
            self._final(ledger, Label.of_trial(number), top, 1800 + steps, steps)
        winner = Label.of_trial(finalists[0])
        for label, lower, cost, of in (
            (DENSE, -0.04 if self._learns else 0, steps, None),
            (ERK_RANDOM, 0.06, steps, None),
            (ERK_RANDOM_EQUAL_COST, 0.04, 1800 + steps, winner),
            (SHUFFLED, 0.03, 1800 + steps, winner),
            (REINITIALISED, 0.02, 1800 + steps, winner),
            (INVERTED, 0.08, 1800 + steps, winner),
        ):
            self._final(ledger, label, top - lower * self._learns, cost, cost, of)

    def _final(
        self, ledger: OpenStudy, label: Label, accuracy: float, cost: int, steps: int, of: Label | None = None
    ) -> None:
        val, test = (float(accuracy + self._chance.normal(0, 0.004)) for _ in range(2))
        ledger.record_final(FinalRecord(label, TrainingEnd(Outcome.FINISHED, steps, val, test), {}, of, cost))


def written(home: Path, study: Study, ended: int | None = None, learns: bool = True) -> Synthetic:
    """Writes a study without waiting for the disk, which hundreds of small entries would do."""
    made = Synthetic(home, study, learns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        made.write(ended)
    return made
