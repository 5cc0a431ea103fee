"""Masks of the runs that a tracking server holds."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import InputError
from ..names import Artifact, Kind, Param, Tag
from ..protocol.label import Label
from .exported import MaskFiles
from .lookup import run_of, searches
from .provenance import provenance

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

#: Parameters of the run of a search that say what the masks of all its trials are for.
_OF_THE_STUDY = (Param.MODEL, Param.DATA, Param.SPARSITY, Param.OBJECTIVE, Param.VARIANT)


class RecordedMasks:
    """The masks of a tracking server; their files are downloaded to a folder."""

    def __init__(self, client: "MlflowClient", folder: Path) -> None:
        self._client = client
        self._folder = folder

    def of_run(self, run_id: str) -> MaskFiles:
        """Return the mask of a trial, of a baseline, or the best one of a search, by the MLflow id of its run.

        Raises InputError for another run, and for one that has no mask; MlflowException where there is none.
        """
        return self._files(self._client.get_run(run_id))

    def best_of(self, study: str) -> MaskFiles:
        """Return the best mask of a study, by its id or how it begins. Raises InputError where it is not there."""
        return self._best(self._study(study))

    def of_trial(self, study: str, number: int) -> MaskFiles:
        """Return the mask of a trial of a study. Raises InputError where it is not there."""
        return self._files(self._trial(self._study(study), Label.of_trial(number)))

    def _study(self, prefix: str) -> "Run":
        """Return the run of the search whose study's id begins with `prefix`."""
        found = searches(self._client, prefix) if prefix.isalnum() else []
        if len(found) != 1:
            ids = ", ".join(run.data.tags[Tag.KEY] for run in found)
            raise InputError(
                f"several studies there begin with {prefix!r}: {ids}" if found else f"there is no study {prefix!r}"
            )
        return found[0]

    def _trial(self, parent: "Run", label: Label) -> "Run":
        found = run_of(self._client, parent, label)
        if found is None:
            raise InputError(f"study {parent.data.tags[Tag.KEY]} has no {label}")
        return found

    def _best(self, parent: "Run") -> MaskFiles:
        label = parent.data.tags.get(Tag.BEST)
        if label is None:
            raise InputError(f"study {parent.data.tags[Tag.KEY]} names no best mask: it has not ended yet")
        return self._files(self._trial(parent, Label(label)))

    def _files(self, run: "Run") -> MaskFiles:
        tags, params = run.data.tags, run.data.params
        if tags.get(Tag.KIND) == Kind.STUDY:
            return self._best(run)
        parent_id, study = tags.get(Tag.PARENT), tags.get(Tag.STUDY)
        if parent_id is None or study is None:
            raise InputError(f"run {run.info.run_id} is no trial of a search; name a run of one, or best:STUDY")
        label, parent = Label(tags[Tag.KEY].partition("/")[2]), self._client.get_run(parent_id)
        seed = params.get(Param.INIT_SEED)
        k = int(params.get(Param.PRETRAINING, 0))
        if seed is not None:
            weights = self._download(run, Artifact.WEIGHTS)
        else:
            weights = self._download(parent, Artifact.pretrained_weights(k))
        mask = self._download(run, Artifact.MASK)
        if mask is None or weights is None:
            missing = "mask" if mask is None else "weights that it started from"
            raise InputError(f"the run of {label} has no {missing}")
        known = {name: parent.data.params[name] for name in _OF_THE_STUDY if name in parent.data.params}
        return MaskFiles(
            study,
            label,
            mask,
            weights,
            self._download(run, Artifact.END_MASK),
            self._download(run, Artifact.END_WEIGHTS),
            provenance(study, label, {**known, **params}, run.data.metrics, run.info.run_id),
            run.info.run_id,
            None if seed is None else int(seed),
        )

    def _download(self, run: "Run", name: str) -> Path | None:
        """Return an artifact of a run; None where it has none of that name."""
        run_id = run.info.run_id
        if all(file.path != name for file in self._client.list_artifacts(run_id)):
            return None
        place = self._folder / run_id
        place.mkdir(exist_ok=True)
        return Path(self._client.download_artifacts(run_id, name, str(place)))
