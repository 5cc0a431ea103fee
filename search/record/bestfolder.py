"""The folder of a study's best mask: all that it takes to go on with it elsewhere."""

import os
from pathlib import Path

from ...models.files import write_atomically
from ...models.masks import MaskSet
from ..config.study import Study
from ..files import JsonObject, StudyFolder, write_json
from ..names import Artifact
from ..protocol.label import Label
from ..protocol.proposal import Proposal
from .provenance import proposal_params, provenance, study_params

_LOADING = '''\
"""Lays the best mask of study {study} ({label}) on its network, at the weights that it was made for."""

from pathlib import Path

from fullspectrum.models import MaskSet, apply
from fullspectrum.models.networks import Task, build
from fullspectrum.models.weights import load_state

folder = Path(__file__).parent
masks = MaskSet.load(folder / "{mask}")
channels, size, _ = {input}
model = build({model!r}, Task(channels, size, {classes}), seed={seed})
model.load_state_dict(load_state(folder / "{weights}"))
# From here on every forward pass uses the masked weights, as after torch.nn.utils.prune: your optimizer, your loop.
apply(model, masks)
'''


class BestFolder:
    """The mask, the weights that it starts from, those of its end where they are kept, its recipe, and a program."""

    def __init__(self, study: Study, folder: StudyFolder) -> None:
        self._study = study
        self._folder = folder

    def fill(self, proposal: Proposal, row: JsonObject) -> list[Path]:
        """Put the mask of a trial into the folder in the place of another, and return its files.

        `row` is that of the leaderboard. Masks and weights are links: they take no second place on the disk.
        """
        trial, place = self._folder.trial(proposal.number), self._folder.best
        place.mkdir(parents=True, exist_ok=True)
        sources = {
            Artifact.MASK: trial / Artifact.MASK,
            Artifact.WEIGHTS: self._folder.pretrained_weights(proposal.distribution.pretraining),
            Artifact.END_MASK: trial / Artifact.END_MASK,
            Artifact.END_WEIGHTS: trial / Artifact.END_WEIGHTS,
        }
        for name, file in sources.items():
            _link(file, place / name)
        label = Label.of_trial(proposal.number)
        params = study_params(self._study, proposal.training) | proposal_params(proposal)
        write_json(place / Artifact.RECIPE, provenance(self._study.id, label, params, row))
        self._write_program(label, place)
        names = (*sources, Artifact.RECIPE, Artifact.LOADING)
        return [place / name for name in names if (place / name).exists()]

    def _write_program(self, label: Label, place: Path) -> None:
        if not (place / Artifact.MASK).exists():
            return
        metadata = MaskSet.load(place / Artifact.MASK).metadata
        program = _LOADING.format(
            study=self._study.id,
            label=label,
            mask=Artifact.MASK,
            weights=Artifact.WEIGHTS,
            input=metadata["input"],
            model=self._study.model,
            classes=metadata["classes"],
            seed=self._study.seed,
        )
        write_atomically(place / Artifact.LOADING, program.encode())


def _link(file: Path, place: Path) -> None:
    """Make `place` a second name of `file`; what is there goes, also where there is no such file."""
    place.unlink(missing_ok=True)
    if file.exists():
        try:
            os.link(file, place)
        except OSError:
            # A file system without links.
            write_atomically(place, file.read_bytes())
