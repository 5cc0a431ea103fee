"""What Ray Tune tells of its trials, passed on to the record and to the screen."""

from ray.tune import Callback
from ray.tune.experiment import Trial

from .gate import Gate
from .outcome import outcome_of
from .progress import Progress
from .record import Recorder, reported


class TrialEvents(Callback):
    """Passes on starts, results and ends of trials."""

    def __init__(self, recorder: Recorder, progress: Progress, gate: Gate):
        self._recorder = recorder
        self._progress = progress
        self._gate = gate

    def __getstate__(self) -> dict:
        """Nothing: Tune pickles its callbacks for a snapshot that is never restored from."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """Opens the trial's run."""
        self._recorder.start_trial(trial.config)
        self._progress.trial_started(trial.config["number"])

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info) -> None:
        """Logs one result."""
        number = trial.config["number"]
        decision = self._gate.decisions.get(number)
        self._recorder.trial_result(number, result, decision)
        self._progress.trial_result(number, reported(result), decision)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """Closes the run of a trial that ended or was stopped."""
        self._end(trial, failed=False)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """Closes the run of a trial whose worker died."""
        self._end(trial, failed=True)

    def _end(self, trial: Trial, failed: bool) -> None:
        number, result = trial.config["number"], trial.last_result
        outcome = outcome_of(result, self._gate.decisions.get(number), failed)
        self._recorder.end_trial(number, outcome, reported(result or {}))
        self._progress.trial_ended(number, outcome)
