"""What MLflow is told, under the names that the record promises."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ...spectral.chance import Standing
from ..config.study import Study
from ..files import StudyFolder, write_json
from ..protocol.label import BASELINES
from ..protocol.names import METRICS, reported
from ..protocol.outcome import Outcome
from .spool import Spool


class Recorder:
    """Turns what happens in a study into the events of its record: a parent run, and a child run for each trial.

    Every event goes to the spool with its time fixed; none of the methods waits for MLflow. What the spool knows it is
    not told twice: a driver that takes a study up tells all that the ledger holds, in order, and what is missing in the
    record gets there.
    """

    def __init__(self, study: Study, folder: StudyFolder, spool: Spool):
        self._study = study
        self._folder = folder
        self.spool = spool
        # A hash of all settings: not made anew for every event.
        self._parent = study.id

    @property
    def _note(self) -> str:
        """The description of the parent run."""
        return (
            f"Mask search for `{self._study.model}` on `{self._study.data}` at sparsity {self._study.sparsity:g}. "
            "Nested runs are trials; their tag `fullspectrum.outcome` tells how each ended."
        )

    def start_study(self, network: Mapping[str, Any]) -> None:
        """Opens the parent run: settings, initial weights, environment, and the `listing` of the network."""
        study = self._study
        tags = {"fullspectrum.kind": "study", "fullspectrum.study": self._parent, "mlflow.note.content": self._note}
        if network["adaptations"]:
            tags["fullspectrum.adaptations"] = "; ".join(network["adaptations"])
        # Without [tracking]: a database URL may hold a password.
        write_json(self._folder.report / "study.json", study.model_dump(exclude={"tracking"}))
        write_json(self._folder.report / "environment.json", environment())
        write_json(self._folder.report / "network.json", dict(network))
        self.spool.start(
            self._parent,
            f"search {self._parent}",
            params={
                "model": study.model,
                "data": study.data,
                "sparsity": study.sparsity,
                "objective": ", ".join(study.objectives),
                "seed": study.seed,
                **{f"search.{key}": value for key, value in study.search.model_dump().items()},
                **{f"guard.{key}": value for key, value in study.guard.model_dump().items()},
            },
            tags=tags,
        )
        for path in ("study.json", "environment.json", "network.json"):
            self.spool.artifact(self._parent, self._folder.report / path)
        self.spool.artifact(self._parent, self._folder.initial_weights)

    def _run(self, label: str) -> str:
        return f"{self._parent}/{label}"

    def start_trial(self, proposal: Mapping[str, Any]) -> None:
        """Opens the run of a trial with what was proposed."""
        number, distribution = proposal["number"], proposal["distribution"]
        # One that does not train has no settings for it but those that it proposes for a full training.
        trains = self._study.warmup.iterations or proposal["training"]
        temperature = distribution["temperature"]
        self._open(
            f"trial {number}",
            params={
                "source": distribution["source"],
                "temperature": "inf" if temperature is None else temperature,
                "seed": proposal["seed"],
                "batch_seed": distribution["batch_seed"],
                "allocation": distribution["allocation"],
                **{f"theta.{group}": value for group, value in distribution["theta"].items()},
                **(self._training(proposal["training"]) if trains else {}),
            },
            tags={"fullspectrum.kind": "trial", "fullspectrum.attempt": str(proposal["attempt"])},
            attempt=proposal["attempt"],
        )

    def _training(self, proposed: Mapping[str, Any]) -> dict[str, Any]:
        return {f"training.{key}": value for key, value in vars(self._study.training.recipe(dict(proposed))).items()}

    def _open(self, label: str, params: dict[str, Any], tags: dict[str, str], attempt: int = 1) -> None:
        run = self._run(label)
        tags = {"fullspectrum.study": self._parent} | tags
        self.spool.start(run, label, parent=self._parent, params=params, tags=tags, attempt=attempt)

    def trial_result(self, number: int, result: Mapping[str, Any], gate: str | None) -> None:
        """Logs one result of a trial; the first one brings its mask, its candidates and its coordinate."""
        run, values = self._run(f"trial {number}"), reported(result)
        if self.spool.ended(run):
            return
        step = values.get("training/iterations", 0)
        if step == 0:
            values.pop("training/iterations", None)
            self._first_result(run, number, values, gate)
        self._metrics(run, values, step)

    def _first_result(self, run: str, number: int, values: Mapping[str, Any], gate: str | None) -> None:
        folder = self._folder.trial(number)
        self.spool.artifact(run, folder / "candidates.json")
        tags = {"fullspectrum.gate": gate} if gate else {}
        if "digest" in values:
            tags["fullspectrum.mask_digest"] = values["digest"]
            tags |= _table("coordinate.json")
            self.spool.artifact(run, folder / "mask.safetensors")
            self.spool.artifact(run, folder / "coordinate.json")
        self.spool.tags(run, tags)

    def _metrics(self, run: str, values: Mapping[str, Any], step: int) -> None:
        metrics = {key: value for key, value in values.items() if key.startswith(METRICS)}
        self.spool.metrics(run, metrics, step)

    def end_trial(self, number: int, outcome: Outcome, result: Mapping[str, Any]) -> None:
        """Closes the run of a trial with its real end."""
        run = self._run(f"trial {number}")
        if self.spool.ended(run):
            return
        if "accuracy/val" in result:
            self.spool.metrics(run, {"accuracy/warmup": result["accuracy/val"]}, int(result["training/iterations"]))
        tags = {"fullspectrum.outcome": outcome.value}
        if "reason" in result:
            tags["fullspectrum.reason"] = result["reason"]
        self.spool.tags(run, tags)
        if outcome is Outcome.FAILED:
            self.spool.artifact(run, self._folder.trial(number) / "error.txt")
        self.spool.end(run, _status(outcome))

    def standing(self, label: str, distance: Standing, picture: Path) -> None:
        """Logs how a trial's mask stands beside chance: z of its distance, unless all random masks are alike."""
        run = self._run(label)
        self._metrics(run, reported({"spectral/z_l2": distance.z}), 0)
        self.spool.artifact(run, picture)

    def start_baseline(
        self, label: str, proposed: Mapping[str, Any], masks: Path | None, of: str | None, again: bool = False
    ) -> None:
        """Opens the run of a baseline with the file of its masks; `of` names the trial whose mask it checks.

        `again` opens it anew, where it has failed.
        """
        if self.spool.ended(self._run(label)) and not again:
            return
        tags = {"fullspectrum.kind": "baseline"} | ({"fullspectrum.of": of} if of else {})
        self._open(label, params=self._training(proposed), tags=tags)
        if masks is not None:
            self.spool.artifact(self._run(label), masks)

    def final_progress(self, label: str, accuracy: float, iteration: int) -> None:
        """Logs validation accuracy in the course of full training."""
        run = self._run(label)
        if not (label in BASELINES and self.spool.ended(run)):
            self.spool.metrics(run, {"accuracy/val_final": accuracy}, iteration)

    def end_final(self, label: str, result: Mapping[str, Any]) -> None:
        """Logs what full training came to, and closes the run of a baseline (that of a trial is closed already)."""
        run, outcome = self._run(label), Outcome(result["outcome"])
        baseline = label in BASELINES
        if baseline and self.spool.ended(run):
            return
        self._metrics(run, reported(result), result.get("training/iterations", 0))
        tags = {"fullspectrum.outcome" if baseline else "fullspectrum.final_outcome": outcome.value}
        if "reason" in result:
            tags["fullspectrum.reason"] = result["reason"]
        self.spool.tags(run, tags)
        if baseline:
            self.spool.end(run, _status(outcome))

    def end_study(
        self,
        metrics: Mapping[str, float],
        files: Sequence[Path],
        status: str,
        verdicts: Sequence[str] = (),
        pareto: Sequence[str] | None = None,
    ) -> None:
        """Closes the parent run with the study's tables and plots, and its verdicts in the description.

        `pareto` are the labels of the trials on the front, where it is known: they are tagged, and those that have left
        it no longer are.
        """
        if pareto is not None:
            front = {self._run(label) for label in pareto}
            for run in sorted(front.union(self.spool.tagged("fullspectrum.pareto", "true"))):
                self.spool.tags(run, {"fullspectrum.pareto": "true" if run in front else "false"})
        self.spool.tags(self._parent, {"mlflow.note.content": "\n\n".join([self._note, *verdicts])})
        for path in files:
            self.spool.artifact(self._parent, path)
        self.spool.metrics(self._parent, dict(metrics), 0)
        if any(path.name == "leaderboard.json" for path in files):
            self.spool.tags(self._parent, _table("leaderboard.json"))
        self.spool.end(self._parent, status)


def _status(outcome: Outcome) -> str:
    """MLflow's status of a run that ended so: whatever came of it is a result, unless it failed."""
    return "FAILED" if outcome is Outcome.FAILED else "FINISHED"


def _table(path: str) -> dict[str, str]:
    """The tag by which MLflow's UI knows the artifact at `path` for a table."""
    return {"mlflow.loggedArtifacts": json.dumps([{"path": path, "type": "table"}])}


def environment() -> dict[str, Any]:
    """Versions of Python and of the packages that the results depend on."""
    packages = ("fullspectrum", "torch", "torchvision", "numpy", "scipy", "optuna", "ray", "mlflow")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}
